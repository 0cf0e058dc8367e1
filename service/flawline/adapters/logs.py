"""The log: one line an event, on standard error."""

from __future__ import annotations

import logging
import time


class OneLine(logging.Formatter):
    """Time (UTC), level, logger, message; a traceback stays in its line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The whole event; a line break inside is written as its escape."""
        return super().format(record).replace("\n", "\\n")


def set_up_logs(level: str) -> None:
    """Log Flawline's events from `level` on, and others' warnings; handlers already there stay."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("flawline").setLevel(level.upper())
