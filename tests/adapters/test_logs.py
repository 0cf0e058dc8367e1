from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from flawline.adapters.logs import formatter, set_up_logs

logger = logging.getLogger("flawline.x")
others = logging.getLogger("someone.else")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What was logged as JSON, line by line."""
    handler = Collecting(formatter("json", is_terminal=False))
    for each in (logger, others):
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    yield handler.lines
    for each in (logger, others):
        each.removeHandler(handler)
        each.setLevel(logging.NOTSET)


class Collecting(logging.Handler):
    def __init__(self, form: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(form)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.created = 0.25
        self.lines.append(self.format(record))


def test_an_event_is_an_object_with_the_fields_that_its_message_names(lines: list[str]) -> None:
    logger.info(
        "inspected part_id=%s line=%s url=%s://%s:%d total_ms=%g reasons=%s: %s, really",
        *('a "part" part_id=7\n{}', "press-1", "http", "localhost", 80, 1.5, ["black"], "look"),
    )
    assert [json.loads(line) for line in lines] == [
        {
            "timestamp": "1970-01-01T00:00:00.250Z",
            "level": "info",
            "logger": "flawline.x",
            "event": "inspected",
            "part_id": 'a "part" part_id=7\n{}',
            "line": "press-1",
            "url": "http://localhost:80",
            "total_ms": 1.5,
            "reasons": ["black"],
            "note": "look, really",
        }
    ]


def test_every_event_is_one_line_with_its_traceback(lines: list[str]) -> None:
    try:
        int("first\nsecond")
    except ValueError:
        logger.exception("%s_failed error_id=%s", "decode", "7")
    (line,) = lines
    assert "\n" not in line
    fields = json.loads(line)
    assert (fields["event"], fields["error_id"], fields["level"]) == ("decode_failed", "7", "error")
    assert fields["exception"].startswith("Traceback")
    assert "ValueError" in fields["exception"]


@pytest.mark.parametrize(
    ("message", "values", "event", "note"),
    [
        ("stopped", (), "stopped", None),
        ("stopping: finishing what was accepted", (), "stopping", "finishing what was accepted"),
        ("model_%s_%s: %s", ("load", "failed", "100 %s"), "model_load_failed", "100 %s"),
        ("half done 50%", (), "half done 50%", None),
    ],
)
def test_events_without_fields(
    lines: list[str], message: str, values: tuple[str, ...], event: str, note: str | None
) -> None:
    logger.warning(message, *values)
    fields = json.loads(lines[0])
    assert (fields["event"], fields.get("note")) == (event, note)


def test_what_others_log_stays_as_they_wrote_it(lines: list[str]) -> None:
    others.warning("odd x=%s: %s", 1, 2)
    others.warning("mapped %(key)s", {"key": "value"})
    assert [json.loads(line)["event"] for line in lines] == ["odd x=1: 2", "mapped value"]


def test_extra_fields_are_fields(lines: list[str]) -> None:
    logger.warning("odd", extra={"part_id": "7"})
    assert json.loads(lines[0])["part_id"] == "7"


def test_no_secret_and_no_picture_gets_into_the_log(lines: list[str]) -> None:
    error = ConnectionError("no redis://:hunter2@host:6379")
    url = "redis://me:hunter2@host:6379/0"
    logger.error("unreachable error=%s queue=%s", error, url, exc_info=error)
    logger.warning("odd picture=%s token=%s", b"\x89PNG" * 1000, "hunter2")
    logger.warning("odd: see %s", "redis://me:hunter2@host")
    others.warning("cannot reach redis://me:hunter2@host")
    text = "\n".join(lines)
    assert "hunter2" not in text
    assert "PNG" not in text
    unreachable, odd, *_ = map(json.loads, lines)
    assert unreachable["queue"] == "redis://***@host:6379/0"
    assert unreachable["error"] == "ConnectionError: no redis://***@host:6379"
    assert (odd["picture"], odd["token"]) == ("4000 bytes", "***")


def test_a_terminal_gets_colours_and_words() -> None:
    record = logging.LogRecord(
        "flawline.x", logging.WARNING, "f.py", 1, "alarm_raised line=%s", ("press-1",), None
    )
    coloured = formatter("auto", is_terminal=True).format(record)
    plain = formatter("console", is_terminal=False).format(record)
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    for word in ("warning", "alarm_raised", "line=press-1"):
        assert word in plain


def test_a_terminal_shows_tracebacks_without_what_the_variables_held() -> None:
    picture = "secret picture"
    try:
        int("x" if picture else "1")
    except ValueError:
        record = logging.LogRecord(
            "flawline.x", logging.ERROR, "f.py", 1, "failed", (), sys.exc_info()
        )
    text = formatter("console", is_terminal=False).format(record)
    assert "ValueError" in text
    assert "secret picture" not in text


def test_set_up_logs_keeps_to_our_own_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, root = logging.getLogger("flawline"), logging.getLogger()
    monkeypatch.setattr(ours, "level", ours.level)
    forms = logging.getLogger("python_multipart")
    monkeypatch.setattr(forms, "level", forms.level)
    before = list(root.handlers)
    set_up_logs("debug", stream=io.StringIO())
    assert ours.level == logging.DEBUG
    assert not logging.getLogger("python_multipart.multipart").isEnabledFor(logging.WARNING)
    assert root.handlers == before  # pytest's; a handler that is there is kept
    ours.setLevel(logging.NOTSET)
