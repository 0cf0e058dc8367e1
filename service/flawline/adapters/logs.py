"""The log: one event a line on standard error, JSON for machines, colours for people.

Our own calls name their fields in the message, `logger.warning("drain_timeout limit_s=%g", 10.0)`: the
first words are the event, each `name=%s` a field of it, and what follows a colon is a note. So the
values stay apart from the text, whatever they hold.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Literal, TextIO

import structlog

LogFormat = Literal["auto", "json", "console"]
Fields = MutableMapping[str, Any]

_OURS = "flawline"
_TOLD_TO_CALLERS = "python_multipart"
"""Warns of each malformed form; the answer to it says the same."""
_NOTE = ": "
_CONVERSION = re.compile(r"%(?!%)[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
_BARE = ("%s", "%r", "%d", "%g")
_SECRET = re.compile(r"authorization|password|secret|token", re.IGNORECASE)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_HIDDEN = "***"


def set_up_logs(level: str, log_format: LogFormat = "auto", stream: TextIO | None = None) -> None:
    """Log Flawline's events from `level` on, and others' warnings; handlers already there stay.

    log_format: `auto` is `console` on a terminal, else `json`.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(log_format, handler.stream.isatty()))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger(_TOLD_TO_CALLERS).setLevel(logging.ERROR)
    logging.getLogger(_OURS).setLevel(level.upper())


def formatter(log_format: LogFormat, is_terminal: bool) -> logging.Formatter:
    """Makes a line of a record."""
    renderer: list[Any]
    if log_format == "json" or (log_format == "auto" and not is_terminal):
        renderer = [structlog.processors.format_exc_info, _hide, _as_json()]
    else:
        # Not rich's tracebacks: they show local variables, and so pictures and secrets.
        traceback = structlog.dev.plain_traceback
        renderer = [
            _hide,
            structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=traceback),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_stamp, structlog.stdlib.ExtraAdder(), _name_fields],
        pass_foreign_args=True,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )


def _as_json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


def _stamp(_: object, __: str, fields: Fields) -> Fields:
    record: logging.LogRecord = fields["_record"]
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    fields["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields["level"] = record.levelname.lower()
    fields["logger"] = record.name
    return fields


def _name_fields(_: object, __: str, fields: Fields) -> Fields:
    record: logging.LogRecord = fields["_record"]
    arguments = fields.pop("positional_args", None) or ()
    if record.name.partition(".")[0] != _OURS or not isinstance(arguments, tuple):
        return fields
    taken = 0
    for name, text, values in _parts_of(str(record.msg)):
        share = arguments[taken : taken + values]
        taken += values
        if values == 1 and text in _BARE:
            fields[name] = share[0]
        else:
            fields[name] = text % share if values else text
    if not isinstance(fields["event"], str):
        fields["event"] = str(fields["event"])
    return fields


@lru_cache(maxsize=1024)  # messages are constants of the code
def _parts_of(message: str) -> tuple[tuple[str, str, int], ...]:
    """Field, its text, and how many values that takes; in the order in which the values come."""
    head, colon, note = message.partition(_NOTE)
    words = head.split(" ")
    parts = [("event", " ".join(word for word in words if "=" not in word))]
    parts += [(name, text) for name, equals, text in (w.partition("=") for w in words) if equals]
    if colon:
        parts.append(("note", note))
    return tuple((name, text, len(_CONVERSION.findall(text))) for name, text in parts)


def _hide(_: object, __: str, fields: Fields) -> Fields:
    """No secret, and no picture, whoever logged it."""
    for name, value in fields.items():
        if isinstance(value, int | float) or value is None:
            continue
        if _is_secret(name):
            fields[name] = _HIDDEN
        elif isinstance(value, bytes | bytearray | memoryview):
            fields[name] = f"{len(value)} bytes"
        elif isinstance(value, BaseException):
            fields[name] = _CREDENTIALS_IN_URL.sub(_HIDDEN, f"{type(value).__name__}: {value}")
        elif isinstance(value, str) and "://" in value:
            fields[name] = _CREDENTIALS_IN_URL.sub(_HIDDEN, value)
    return fields


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None
