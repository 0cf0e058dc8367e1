from __future__ import annotations

from flawline.core.call_times import ENOUGH, KEPT, STALE_S, CallTimes


def calls(times: CallTimes, lasted_s: list[float], ended_s: float = 1.0) -> float:
    for each_s in lasted_s:
        times.add(each_s, ended_s)
    return ended_s


def test_nothing_is_expected_of_an_engine_that_is_hardly_known() -> None:
    times = CallTimes()
    now_s = calls(times, [0.1] * (ENOUGH - 1))
    assert times.expected_s(now_s) == 0.0
    times.add(0.1, now_s)
    assert times.expected_s(now_s) == 0.1


def test_one_hiccup_does_not_count_and_two_do() -> None:
    times = CallTimes()
    now_s = calls(times, [0.1] * ENOUGH + [5.0])
    assert times.expected_s(now_s) == 0.1
    times.add(4.0, now_s)
    assert times.expected_s(now_s) == 4.0
    calls(times, [0.2] * (KEPT - 1))
    assert times.expected_s(now_s) == 0.2


def test_what_was_long_ago_is_forgotten() -> None:
    times = CallTimes()
    now_s = calls(times, [3.0] * KEPT)
    assert times.expected_s(now_s + STALE_S) == 3.0
    assert times.expected_s(now_s + STALE_S + 0.01) == 0.0
    times.add(0.1, now_s + STALE_S + 0.02)
    assert times.expected_s(now_s + STALE_S + 0.02) == 0.0
