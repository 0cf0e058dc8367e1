"""One line in the log for an inspection, with the ids that lead from one system to the next."""

from __future__ import annotations

import logging
from typing import Literal

from flawline.core.values import Inspection, Verdict

logger = logging.getLogger(__name__)

Logged = Literal["none", "odd", "all"]
_USUAL = (Verdict.OK, Verdict.NOT_OK)


class InspectionLog:
    """logged: `all` inspections, the `odd` ones (NotDecidable, Undefined), or `none`."""

    def __init__(self, logged: Logged = "odd") -> None:
        self._logged = logged

    def answered(self, inspection: Inspection, traceparent: str | None) -> None:
        """Log it, if it is one of those asked for."""
        if self._logged == "none" or (self._logged == "odd" and inspection.verdict in _USUAL):
            return
        logger.info(
            "inspected inspection_id=%s part_id=%s line=%s trace_id=%s verdict=%s reasons=%s "
            "detections=%d total_ms=%g",
            inspection.inspection_id,
            inspection.part_id,
            inspection.line,
            trace_id_of(traceparent),
            inspection.verdict.value,
            [reason.code for reason in inspection.reasons],
            len(inspection.detections),
            round(inspection.processing_times.total_ms, 2),
        )


def trace_id_of(traceparent: str | None) -> str | None:
    """The part of a W3C trace context that all spans of a trace share."""
    return None if traceparent is None else traceparent.split("-")[1]
