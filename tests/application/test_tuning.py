from __future__ import annotations

import pytest
from fakes import ManualClock
from load_fakes import ModelledBench

from flawline.application.tuning import (
    AT_CADENCE,
    Axis,
    CannotServeError,
    Tuner,
    TuningPlan,
    loads_around,
)
from flawline.core.tuning import Candidate, Objective, Step

BASELINE = Candidate((("engine_threads", 0), ("max_batch", 8)))
AXES = (
    Axis("engine_threads", ({"engine_threads": 1}, {"engine_threads": 2})),
    Axis("max_batch", ({"max_batch": 1}, {"max_batch": 8}, {"max_batch": 16})),
)
MOST = Objective(p99_ms=50)


def model(values: dict[str, int], callers: int) -> Step:
    """Two threads are best, and batches of 16; 10 ms a frame and caller at the start."""
    capacity = 100.0 * {0: 1.0, 1: 0.7, 2: 1.3}[values["engine_threads"]]
    capacity *= {1: 0.6, 8: 1.0, 16: 1.2}.get(values["max_batch"], 1.0)
    return Step(callers, capacity, 1000 * max(1, callers) / capacity, 0)


def tuner(
    bench: ModelledBench,
    clock: ManualClock,
    objective: Objective = MOST,
    axes: tuple[Axis, ...] = AXES,
    budget_s: float = 200.0,
) -> Tuner:
    plan = TuningPlan(objective, axes, budget_s, rounds=2, last_rounds=3)
    return Tuner(bench, plan, clock, lambda done, of, what: None)


async def test_each_axis_starts_from_what_the_last_one_found() -> None:
    clock = ManualClock()
    found = tuner(ModelledBench(clock, model), clock)
    choice = await found.run(BASELINE)
    assert choice.met
    assert dict(choice.winner.measured.candidate.values) == {"engine_threads": 2, "max_batch": 16}
    assert [stage.name for stage in found.stages] == ["engine_threads", "max_batch", "the choice"]
    last = found.stages[-1].choice.standings
    assert last[0].measured.candidate == BASELINE
    assert found.notes == []


async def test_candidates_take_turns_there_and_back() -> None:
    clock = ManualClock()
    bench = ModelledBench(clock, model)
    await tuner(bench, clock).run(BASELINE)
    threads = [dict(candidate.values)["engine_threads"] for candidate, _ in bench.visits]
    assert threads[1:7] == [0, 1, 2, 2, 1, 0]


async def test_it_keeps_what_is_set_when_nothing_is_better() -> None:
    clock = ManualClock()
    bench = ModelledBench(clock, lambda values, callers: Step(callers, 100.0, 20.0, 0))
    choice = await tuner(bench, clock).run(BASELINE)
    assert choice.winner.measured.candidate == BASELINE


@pytest.mark.parametrize("budget_s", [60.0, 90.0, 200.0, 2000.0])
async def test_the_time_is_kept(budget_s: float) -> None:
    clock = ManualClock()
    began_s = clock.monotonic_s()
    found = tuner(ModelledBench(clock, model), clock, budget_s=budget_s)
    await found.run(BASELINE)
    assert clock.monotonic_s() - began_s <= 1.05 * budget_s


async def test_without_time_it_says_what_was_not_tried() -> None:
    clock = ManualClock()
    found = tuner(ModelledBench(clock, model, start_s=10.0), clock, budget_s=100.0)
    choice = await found.run(BASELINE)
    assert choice.winner.measured.candidate == BASELINE
    assert found.notes == [
        "There was no time to try engine_threads: allow more.",
        "There was no time to try max_batch: allow more.",
    ]


async def test_a_candidate_that_does_not_start_is_left_out() -> None:
    clock = ManualClock()
    axes = (Axis("max_batch", ({"max_batch": 13}, {"max_batch": 16})),)
    found = tuner(ModelledBench(clock, model), clock, axes=axes)
    choice = await found.run(BASELINE)
    assert dict(choice.winner.measured.candidate.values)["max_batch"] == 16
    assert found.notes == ["engine_threads=0 max_batch=13 did not serve: unlucky"]


async def test_when_the_settings_in_force_do_not_start_that_is_an_error() -> None:
    clock = ManualClock()
    found = tuner(ModelledBench(clock, model), clock)
    with pytest.raises(CannotServeError, match="unlucky"):
        await found.run(BASELINE.but({"max_batch": 13}))


async def test_loads_grow_until_the_objective_is_not_kept() -> None:
    clock = ManualClock()
    bench = ModelledBench(clock, model)
    await tuner(bench, clock).run(BASELINE)
    assert bench.visits[0][1] == (1, 2, 4, 8, 16, 32)
    assert bench.visits[1][1] == (2, 4)  # 4 callers: 40 ms, which is near to 50
    assert sum(1 for _, callers in bench.visits if callers == (2, 4)) == len(bench.visits) - 1


async def test_at_a_cadence_there_is_one_load() -> None:
    clock = ManualClock()
    bench = ModelledBench(clock, model)
    found = tuner(bench, clock, Objective(p99_ms=50, rate=30))
    await found.run(BASELINE)
    assert {callers for _, callers in bench.visits} == {(AT_CADENCE,)}


@pytest.mark.parametrize(
    ("p99s_ms", "expected"),
    [
        ({1: 10, 2: 20, 4: 30, 8: 60}, (4, 8)),
        ({1: 10, 2: 20, 4: 45, 8: 90}, (2, 4)),
        ({1: 45, 2: 90}, (1, 2)),
        ({1: 60}, (1,)),
    ],
)
def test_loads_lie_at_the_edge(p99s_ms: dict[int, float], expected: tuple[int, ...]) -> None:
    steps = [Step(callers, 100.0, p99_ms, 0) for callers, p99_ms in p99s_ms.items()]
    assert loads_around(steps, MOST) == expected
