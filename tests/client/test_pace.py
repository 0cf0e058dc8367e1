from __future__ import annotations

import pytest

from flawline.client import pace
from flawline.client.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one item is the time; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def answer_after(
    paced: Pace, clock: list[float], seconds: float, *, evaluated: bool = True
) -> None:
    paced.sent(0)
    clock[0] += seconds
    paced.answered(0, evaluated=evaluated)


def test_it_is_full_with_a_window_of_frames() -> None:
    paced = Pace(2)
    paced.sent(1)
    assert not paced.full
    paced.sent(2)
    assert paced.full
    paced.answered(1, evaluated=True)
    assert not paced.full
    paced.answered(77, evaluated=True)  # never sent here: no harm


def test_a_frame_with_too_little_time_left_makes_room_for_others(clock: list[float]) -> None:
    paced = Pace(4)
    for _ in range(50):
        answer_after(paced, clock, 2.0)
    for sequence in (1, 2, 3):
        paced.sent(sequence)
    assert paced.hopeless(1.0)
    assert not paced.hopeless(3.0)


def test_while_little_is_in_flight_everything_is_tried(clock: list[float]) -> None:
    """Or a service that was slow once would never be tried again."""
    paced = Pace(4)
    answer_after(paced, clock, 60.0, evaluated=False)
    paced.sent(1)
    paced.sent(2)
    assert not paced.hopeless(1.0)
    paced.sent(3)
    assert paced.hopeless(1.0)


def test_what_was_not_evaluated_shows_how_long_it_takes_at_least(clock: list[float]) -> None:
    paced = Pace(1)
    answer_after(paced, clock, 5.0, evaluated=False)
    answer_after(paced, clock, 0.1, evaluated=False)
    paced.sent(1)
    assert paced.hopeless(4.9)
    assert not paced.hopeless(5.1)
