"""The log: one event a line on standard error, JSON for machines, colours for people.

Our own calls name their fields in the message, `logger.warning("drain_timeout limit_s=%g", 10.0)`: the
first words are the event, each `name=%s` a field of it, and what follows a colon is a note. So the
values stay apart from the text, whatever they hold.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from datetime import datetime, timezone
from typing import Any, Literal, TextIO

import structlog

LogFormat = Literal["auto", "json", "console"]
Fields = MutableMapping[str, Any]

_OURS = "flawline"
_NOTE = ": "
_CONVERSION = re.compile(r"%(?!%)[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
_BARE = re.compile(r"%[srdg]")
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
    head, colon, note = str(record.msg).partition(_NOTE)
    values = iter(arguments)
    words = head.split(" ")
    named = [word for word in words if "=" in word]
    event = " ".join(word for word in words if "=" not in word)
    fields["event"] = _filled(event, values)
    for word in named:
        name, _equals, text = word.partition("=")
        fields[name] = next(values) if _BARE.fullmatch(text) else _filled(text, values)
    if colon:
        fields["note"] = _filled(note, values)
    return fields


def _filled(text: str, values: Iterator[Any]) -> str:
    """The text with its own share of the values."""
    conversions = _CONVERSION.findall(text)
    return text % tuple(next(values) for _ in conversions) if conversions else text


def _hide(_: object, __: str, fields: Fields) -> Fields:
    """No secret, and no picture, whoever logged it."""
    for name, value in fields.items():
        if _SECRET.search(name) and name not in ("event", "note"):
            fields[name] = _HIDDEN
        elif isinstance(value, bytes | bytearray | memoryview):
            fields[name] = f"{len(value)} bytes"
        elif isinstance(value, str):
            fields[name] = _CREDENTIALS_IN_URL.sub(_HIDDEN, value)
        elif isinstance(value, BaseException):
            fields[name] = _CREDENTIALS_IN_URL.sub(_HIDDEN, f"{type(value).__name__}: {value}")
    return fields
