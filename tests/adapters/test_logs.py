from __future__ import annotations

import logging
import sys

import pytest

from flawline.adapters.logs import OneLine, set_up_logs


def test_an_event_is_one_line_with_its_traceback() -> None:
    try:
        int("first\nsecond")
    except ValueError:
        record = logging.LogRecord(
            "flawline.x", logging.ERROR, "f.py", 1, "failed id=%s", ("7",), sys.exc_info()
        )
    record.created, record.msecs = 0.0, 0.0
    line = OneLine().format(record)
    assert line.startswith("1970-01-01T00:00:00.000Z ERROR flawline.x failed id=7\\nTraceback")
    assert "ValueError" in line
    assert "\n" not in line


def test_set_up_logs_keeps_to_our_own_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, root = logging.getLogger("flawline"), logging.getLogger()
    monkeypatch.setattr(ours, "level", ours.level)
    before = list(root.handlers)
    set_up_logs("debug")
    assert ours.level == logging.DEBUG
    assert root.handlers == before  # pytest's; a handler that is there is kept
    ours.setLevel(logging.NOTSET)
