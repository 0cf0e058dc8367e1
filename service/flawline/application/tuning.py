"""Finds settings for a machine: one axis after the other, candidates in turns, in bounded time.

All candidates of an axis are measured in every round, in an order that turns round: what changes on the machine
meanwhile falls on all of them alike.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from flawline.application.ports import Clock
from flawline.core.tuning import Candidate, Choice, Measured, Objective, Step, choose

AT_CADENCE = 0
"""In place of a number of callers: frames come at the objective's rate."""
_LADDER = (1, 2, 4, 8, 16, 32)
_FIRST_STEP_S = 1.0
_LEAST_STEP_S = 0.75
# Nearer to the objective than this, chance decides whether a load keeps it.
_CLEARLY = 0.7


class CannotServeError(Exception):
    """A service with these settings did not start; the text says why."""


class TuningBench(Protocol):
    """Something that a candidate can be measured on."""

    def measure(
        self, candidate: Candidate, callers: Sequence[int], step_s: float
    ) -> AsyncGenerator[Step, None]:
        """A service anew, then one step for each number of callers. Raises CannotServeError."""
        ...


@dataclass(frozen=True, slots=True)
class Axis:
    """What is tried while the rest stays: some settings at a time, which belong together."""

    name: str
    changes: tuple[Mapping[str, int], ...]

    def candidates(self, incumbent: Candidate) -> tuple[Candidate, ...]:
        """The incumbent, and each change of it, without repetition."""
        return tuple(dict.fromkeys((incumbent, *map(incumbent.but, self.changes))))


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """budget_s: what all may take; rounds: for each axis, and for the last comparison."""

    objective: Objective
    axes: tuple[Axis, ...]
    budget_s: float
    rounds: int
    last_rounds: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One comparison: of an axis, or at last of what was found with what was there before."""

    name: str
    choice: Choice


class Tuner:
    """One run of a plan.

    tell: called before each visit with how many are done, how many there are, and what is next.
    """

    def __init__(
        self,
        bench: TuningBench,
        plan: TuningPlan,
        clock: Clock,
        tell: Callable[[int, int, str], None],
    ) -> None:
        self._bench = bench
        self._plan = plan
        self._clock = clock
        self._tell = tell
        self._ends_s = 0.0
        self._visit_s = self._step_s = 0.0
        self._callers: tuple[int, ...] = (AT_CADENCE,)
        self._visits, self._expected = 0, self._visits_of_all(plan.rounds)
        self.stages: list[Stage] = []
        self.notes: list[str] = []

    async def run(self, baseline: Candidate) -> Choice:
        """The last comparison, of the baseline with what was found. Raises CannotServeError for the baseline."""
        self._ends_s = self._clock.monotonic_s() + self._plan.budget_s
        await self._calibrate(baseline)
        incumbent = baseline
        for axis in self._plan.axes:
            candidates = axis.candidates(incumbent)
            rounds = self._affordable_rounds(len(candidates))
            if not rounds:
                self.notes.append(f"There was no time to try {axis.name}: allow more.")
            elif len(candidates) > 1:
                choice = await self._compare(axis.name, candidates, rounds)
                incumbent = choice.winner.measured.candidate
        finalists = tuple(dict.fromkeys((baseline, incumbent)))
        left_s = self._ends_s - self._clock.monotonic_s()
        rounds = int(left_s / (len(finalists) * self._visit_s))
        return await self._compare(
            "the choice", finalists, min(max(rounds, 1), self._plan.last_rounds)
        )

    async def _calibrate(self, baseline: Candidate) -> None:
        """How long a visit takes, and which loads are worth measuring."""
        objective, steps = self._plan.objective, []
        self._tell(0, self._expected, f"{baseline} (to begin with)")
        began_s = self._clock.monotonic_s()
        ladder = _LADDER if objective.rate is None else (AT_CADENCE,)
        async with aclosing(self._bench.measure(baseline, ladder, _FIRST_STEP_S)) as measuring:
            async for step in measuring:
                steps.append(step)
                if not _kept(step, objective):
                    break
        took_s = self._clock.monotonic_s() - began_s
        self._callers = loads_around(steps, objective)
        overhead_s = max(0.0, took_s - len(steps) * _FIRST_STEP_S)
        share_s = (self._ends_s - self._clock.monotonic_s()) / self._expected
        self._step_s = max(_LEAST_STEP_S, (share_s - overhead_s) / len(self._callers))
        self._visit_s = overhead_s + len(self._callers) * self._step_s

    def _visits_of_all(self, rounds: int) -> int:
        return sum(1 + len(axis.changes) for axis in self._plan.axes) * rounds + self._last_visits

    @property
    def _last_visits(self) -> int:
        return 2 * self._plan.last_rounds

    def _affordable_rounds(self, candidates: int) -> int:
        """As planned, or one, or none, so that time is left for the last comparison."""
        left_s = self._ends_s - self._clock.monotonic_s()
        for rounds in (self._plan.rounds, 1):
            if (rounds * candidates + self._last_visits) * self._visit_s <= left_s:
                return rounds
        return 0

    async def _compare(self, name: str, candidates: Sequence[Candidate], rounds: int) -> Choice:
        taken: dict[Candidate, list[tuple[Step, ...]]] = {one: [] for one in candidates}
        for number in range(rounds):
            for candidate in _turn(list(taken), number):
                self._tell(self._visits, self._expected, str(candidate))
                self._visits += 1
                try:
                    taken[candidate].append(await self._visit(candidate))
                except CannotServeError as error:
                    if candidate == candidates[0]:
                        raise
                    self.notes.append(f"{candidate} did not serve: {error}")
                    del taken[candidate]
        measured = [Measured(one, tuple(steps)) for one, steps in taken.items()]
        choice = choose(measured, self._plan.objective)
        self.stages.append(Stage(name, choice))
        return choice

    async def _visit(self, candidate: Candidate) -> tuple[Step, ...]:
        measuring = self._bench.measure(candidate, self._callers, self._step_s)
        return tuple([step async for step in measuring])


def loads_around(steps: Sequence[Step], objective: Objective) -> tuple[int, ...]:
    """Two loads at the edge of what keeps the objective; one caller if even that does not.

    Twice the most that keep it where they do so clearly, else half: a load that just keeps it may fail next time.
    """
    if objective.rate is not None:
        return (AT_CADENCE,)
    kept = [step for step in steps if _kept(step, objective)]
    if not kept:
        return (1,)
    most = max(kept, key=lambda step: step.callers)
    if most.callers == 1 or (most.p99_ms or 0.0) <= _CLEARLY * objective.p99_ms:
        return (most.callers, 2 * most.callers)
    return (most.callers // 2, most.callers)


def _kept(step: Step, objective: Objective) -> bool:
    return step.p99_ms is not None and step.p99_ms <= objective.p99_ms and not step.misses


def _turn(candidates: list[Candidate], number: int) -> list[Candidate]:
    """There and back, so that a steady drift falls on all alike."""
    return candidates[::-1] if number % 2 else candidates
