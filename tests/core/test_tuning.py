from __future__ import annotations

import itertools

import pytest

from flawline.core.tuning import Candidate, Measured, Objective, Step, choose

MOST = Objective(p99_ms=50)
CADENCE = Objective(p99_ms=50, rate=30)


def measured(number: int, *rounds: list[tuple[int, float, float, int]]) -> Measured:
    """Rounds of (callers, frames/s, p99 in ms, misses)."""
    steps = tuple(tuple(Step(*step) for step in taken) for taken in rounds)
    return Measured(Candidate((("engine_threads", number),)), steps)


def at_rate(number: int, *p99s_ms: float, misses: int = 0) -> Measured:
    return measured(number, *([(0, 30.0, p99_ms, misses)] for p99_ms in p99s_ms))


def taken(*candidates: Measured, objective: Objective = MOST) -> int:
    choice = choose(candidates, objective)
    return choice.winner.measured.candidate.values[0][1]


def test_most_frames_of_those_that_keep_the_objective() -> None:
    slow = measured(1, [(4, 80, 45, 0)], [(4, 82, 46, 0)])
    fast = measured(2, [(4, 100, 40, 0)], [(4, 99, 41, 0)])
    too_late = measured(3, [(4, 200, 51, 0)], [(4, 210, 60, 0)])
    choice = choose([slow, fast, too_late], MOST)
    assert choice.met
    assert choice.winner.measured is fast
    assert choice.winner.frames_per_s == 99.5
    assert [standing.met for standing in choice.standings] == [True, True, False]
    assert "best of 2" in choice.because


def test_each_candidate_counts_at_the_load_that_suits_it() -> None:
    few = measured(1, [(2, 60, 30, 0), (4, 70, 55, 0)], [(2, 61, 31, 0), (4, 71, 56, 0)])
    many = measured(2, [(2, 58, 33, 0), (4, 90, 49, 0)], [(2, 58, 33, 0), (4, 92, 48, 0)])
    choice = choose([few, many], MOST)
    assert choice.winner.measured is many
    assert [standing.callers for standing in choice.standings] == [2, 4]


def test_what_misses_deadlines_does_not_keep_the_objective() -> None:
    losing = measured(1, [(4, 200, 40, 3)], [(4, 200, 40, 2)], [(4, 200, 40, 0)])
    assert taken(losing, measured(2, *[[(4, 90, 45, 0)]] * 3)) == 2


def test_one_bad_round_of_three_does_not_decide() -> None:
    unlucky = measured(1, [(4, 120, 40, 0)], [(4, 118, 400, 9)], [(4, 121, 41, 0)])
    assert taken(measured(2, *[[(4, 100, 45, 0)]] * 3), unlucky) == 1


@pytest.mark.parametrize(
    "second",
    [
        [100.0, 100.0],  # the same
        [102.0, 102.5],  # better in every round, and not worth a change
        [150.0, 99.0],  # better by much, and not in every round
    ],
)
def test_among_equals_the_first_is_taken(second: list[float]) -> None:
    first = measured(1, [(4, 100, 40, 0)], [(4, 100, 40, 0)])
    other = measured(2, *([(4, fps, 40, 0)] for fps in second))
    assert taken(first, other) == 1
    assert taken(other, first) == (2 if min(second) > 97 else 1)


def test_drift_that_falls_on_all_does_not_decide() -> None:
    """The machine slows down by half; the second is ahead in each round all the same."""
    assert (
        taken(
            measured(1, *([(4, fps, 40, 0)] for fps in (100, 70, 50))),
            measured(2, *([(4, fps, 40, 0)] for fps in (110, 77, 55))),
        )
        == 2
    )


def test_at_a_cadence_the_shortest_latency_is_taken() -> None:
    choice = choose([at_rate(1, 40, 41), at_rate(2, 20, 21), at_rate(3, 30, 30)], CADENCE)
    assert choice.winner.measured.candidate.values[0][1] == 2
    assert "p99 20.5 ms at 30 frames/s" in choice.because


def test_the_only_one_that_keeps_it_says_so() -> None:
    choice = choose([at_rate(1, 60, 70), at_rate(2, 45, 46)], CADENCE)
    assert choice.met
    assert "no other" in choice.because


def test_one_alone_is_not_compared_with_others() -> None:
    assert choose([at_rate(1, 40, 42)], CADENCE).because == "p99 41.0 ms at 30 frames/s."


def test_when_none_keeps_it_the_nearest_is_named() -> None:
    choice = choose([at_rate(1, 90, 95), at_rate(2, 60, 64), at_rate(3, 55, 56, misses=4)], CADENCE)
    assert not choice.met
    assert choice.winner.measured.candidate.values[0][1] == 2
    assert "None keeps a p99 of 50 ms" in choice.because
    assert "engine_threads=2 with 62.0 ms" in choice.because


def test_nothing_answered_is_the_farthest_of_all() -> None:
    silent = Measured(Candidate((("engine_threads", 1),)), ((Step(0, 0.0, None, 9),),))
    choice = choose([silent, at_rate(2, 70)], CADENCE)
    assert not choice.met
    assert choice.winner.measured.candidate.values[0][1] == 2
    assert not choose([silent], CADENCE).met


def test_the_same_figures_give_the_same_choice_in_any_order() -> None:
    candidates = [
        measured(n, [(4, fps, 40, 0)], [(4, fps + 1, 41, 0)])
        for n, fps in enumerate((80, 120, 100, 60))
    ]
    winners = {taken(*order) for order in itertools.permutations(candidates)}
    assert winners == {1}


def test_a_change_keeps_the_other_settings_and_their_order() -> None:
    candidate = Candidate((("engine_threads", 0), ("max_batch", 8)))
    changed = candidate.but({"engine_threads": 2})
    assert changed.values == (("engine_threads", 2), ("max_batch", 8))
    assert str(changed) == "engine_threads=2 max_batch=8"
