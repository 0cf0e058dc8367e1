from __future__ import annotations

import pytest

from flawline.core.load import (
    LoadFigures,
    LoadObjectives,
    LoadRecord,
    Outcome,
    OutcomeKind,
    doubts,
    percentiles_ms,
)

OK = Outcome(OutcomeKind.VERDICT, "OK")
NOT_OK = Outcome(OutcomeKind.VERDICT, "NotOK")
UNDEFINED = Outcome(OutcomeKind.UNDEFINED, "deadline")
REFUSED = Outcome(OutcomeKind.REFUSED, "queue_full")
ERROR = Outcome(OutcomeKind.ERROR, "corrupt_picture")


def figures(*frames: tuple[float, Outcome], deadline_ms: float = 1000, seconds: float = 2.0):
    """Of frames with these latencies in ms."""
    record = LoadRecord(deadline_ms)
    for number, (latency_ms, outcome) in enumerate(frames):
        record.add(10.0 + number, 10.0 + number + latency_ms / 1000, outcome)
    return record.figures(seconds)


def steady(p99_ms: float, lag_ms: float | None = None) -> LoadFigures:
    record = LoadRecord(1000)
    record.add(1.0, 1.0 + p99_ms / 1000, OK)
    if lag_ms is not None:
        record.add_lag(lag_ms / 1000)
    return record.figures(1.0)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(100, 0.99, 99), (100, 0.5, 50), (100, 1.0, 100), (1, 0.5, 1), (3, 0.99, 3), (200, 0.95, 190)],
)
def test_percentiles_are_values_that_occurred(count: int, share: float, expected: int) -> None:
    values_s = [number / 1000 for number in range(count, 0, -1)]
    assert percentiles_ms(values_s, [share]) == [pytest.approx(expected)]


def test_without_values_there_are_no_percentiles() -> None:
    assert percentiles_ms([], [0.5, 0.99]) == [None, None]


def test_every_frame_is_counted_once() -> None:
    found = figures((10, OK), (20, NOT_OK), (30, OK), (999, UNDEFINED), (1, REFUSED), (2, ERROR))
    assert found.sent == 6
    assert found.answered == 4
    assert found.verdicts == {"NotOK": 1, "OK": 2}
    assert found.undefined == {"deadline": 1}
    assert found.refused == {"queue_full": 1}
    assert found.errors == {"corrupt_picture": 1}
    assert found.sent == found.answered + 1 + 1
    assert found.misses == 3
    assert found.frames_per_s == 1.5


def test_what_was_refused_quickly_does_not_improve_the_latency() -> None:
    found = figures((100, OK), (200, OK), *[(1, REFUSED)] * 50)
    assert found.p50_ms == pytest.approx(100)
    assert found.max_ms == pytest.approx(200)


def test_what_has_no_verdict_in_time_stays_in_the_latency() -> None:
    found = figures((10, OK), (1000, UNDEFINED))
    assert found.p99_ms == pytest.approx(1000)


def test_a_verdict_after_the_deadline_is_late_and_a_miss() -> None:
    found = figures((48, OK), (51, OK), (49, OK), deadline_ms=50)
    assert (found.late, found.misses) == (1, 1)


def test_nothing_sent() -> None:
    found = LoadRecord(1000).figures(0.0)
    assert (found.sent, found.frames_per_s, found.p99_ms, found.misses) == (0, 0.0, None, 0)


def test_objectives_that_are_kept_say_nothing() -> None:
    found = figures((10, OK), (20, UNDEFINED))
    assert LoadObjectives().unmet(found) == ()
    assert LoadObjectives(max_p99_ms=20.1, max_misses=1).unmet(found) == ()


def test_objectives_that_are_not_kept_are_named_with_what_was_found() -> None:
    p99, misses = LoadObjectives(max_p99_ms=19, max_misses=0).unmet(figures((20, OK), (5, REFUSED)))
    assert "20.0 ms" in p99
    assert "19 ms" in p99
    assert misses.startswith("1 frames")


def test_no_answer_keeps_no_latency_objective() -> None:
    (said,) = LoadObjectives(max_p99_ms=1000).unmet(figures((1, ERROR)))
    assert "No frame was answered" in said


def test_nothing_measured_keeps_no_objective_and_is_said() -> None:
    nothing = LoadRecord(1000).figures(1.0)
    assert len(LoadObjectives(max_p99_ms=10, max_misses=0).unmet(nothing)) == 2
    (said,) = doubts(nothing, cpu_share=0.0)
    assert "No frame was sent after the warm-up" in said


def test_a_late_generator_is_doubted() -> None:
    assert doubts(steady(100, lag_ms=9), cpu_share=0.1) == ()
    (said,) = doubts(steady(100, lag_ms=11), cpu_share=0.1)
    assert "do not trust" in said
    assert "11.0 ms" in said


def test_a_busy_generator_is_doubted() -> None:
    (said,) = doubts(steady(100), cpu_share=0.95)
    assert "95%" in said
