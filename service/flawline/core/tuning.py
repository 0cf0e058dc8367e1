"""Which settings to take, given what each gave. Figures in, a choice out: the same figures, the same choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Less is not worth other settings than one has, even where it shows in every round.
_WORTH = 1.03


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings by name, as FlawlineSettings has them, in an order that all candidates share."""

    values: tuple[tuple[str, int], ...]

    def but(self, changes: Mapping[str, int]) -> Candidate:
        """The same with other values for some, or with some more."""
        return Candidate(tuple((dict(self.values) | dict(changes)).items()))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.values)


@dataclass(frozen=True, slots=True)
class Step:
    """One load on one candidate. callers: who ask in a closed loop, 0 where frames came at a cadence.

    p99_ms: None when nothing was answered. misses: frames without a verdict in time.
    """

    callers: int
    frames_per_s: float
    p99_ms: float | None
    misses: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate with the same loads in each of at least one round.

    Candidates that are compared were measured in turns: their n-th rounds belong together.
    """

    candidate: Candidate
    rounds: tuple[tuple[Step, ...], ...]

    def at(self, load: int) -> tuple[Step, ...]:
        """That load of each round."""
        return tuple(steps[load] for steps in self.rounds)


@dataclass(frozen=True, slots=True)
class Objective:
    """p99_ms: what the 99th percentile of latency may be. rate: frames/s that come; None asks for the most."""

    p99_ms: float
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a candidate does at the load that suits it best; medians of its rounds.

    met: p99 is within the objective, and no frame went without a verdict in time.
    """

    measured: Measured
    load: int
    met: bool
    frames_per_s: float
    p99_ms: float
    misses: float

    @property
    def callers(self) -> int:
        """Of that load."""
        return self.measured.at(self.load)[0].callers


@dataclass(frozen=True, slots=True)
class Choice:
    """standings: of all candidates, in their order. met: without, `winner` is only the nearest."""

    winner: Standing
    met: bool
    because: str
    standings: tuple[Standing, ...]


def choose(candidates: Sequence[Measured], objective: Objective) -> Choice:
    """The best of at least one candidate; among equals the one that comes first.

    Those that meet the objective are compared: without a rate by frames/s, with one by p99. One is better than another
    when it was so in every round, and by 3 % in the median. When none meets the objective, the choice is the one with
    the fewest misses, and among those the least p99.
    """
    standings = tuple(standing(measured, objective) for measured in candidates)
    meeting = [one for one in standings if one.met]
    if not meeting:
        nearest = min(standings, key=lambda one: (one.misses, one.p99_ms))
        return Choice(nearest, False, _why_nearest(nearest, objective), standings)
    best = max(meeting, key=lambda one: median(_merits(one, objective)))
    winner = next(one for one in meeting if not _better(best, one, objective))
    return Choice(winner, True, _why(winner, best, standings, objective), standings)


def standing(measured: Measured, objective: Objective) -> Standing:
    """At the load with most frames/s of those that meet the objective, else with the least p99."""
    loads = [_at(measured, load, objective) for load in range(len(measured.rounds[0]))]
    meeting = [one for one in loads if one.met]
    if meeting:
        return max(meeting, key=lambda one: one.frames_per_s)
    return min(loads, key=lambda one: (one.misses, one.p99_ms))


def _at(measured: Measured, load: int, objective: Objective) -> Standing:
    steps = measured.at(load)
    p99_ms = median(float("inf") if step.p99_ms is None else step.p99_ms for step in steps)
    misses = median(step.misses for step in steps)
    return Standing(
        measured=measured,
        load=load,
        met=p99_ms <= objective.p99_ms and misses == 0,
        frames_per_s=median(step.frames_per_s for step in steps),
        p99_ms=p99_ms,
        misses=misses,
    )


def _merits(one: Standing, objective: Objective) -> list[float]:
    """Of each round; more is better."""
    steps = one.measured.at(one.load)
    if objective.rate is None:
        return [step.frames_per_s for step in steps]
    return [0.0 if step.p99_ms is None else 1.0 / max(step.p99_ms, 1e-6) for step in steps]


def _better(one: Standing, other: Standing, objective: Objective) -> bool:
    pairs = list(zip(_merits(one, objective), _merits(other, objective), strict=False))
    ratios = [mine / theirs if theirs > 0 else float("inf") for mine, theirs in pairs]
    return all(ratio > 1 for ratio in ratios) and median(ratios) >= _WORTH


def _why(
    winner: Standing, best: Standing, standings: Sequence[Standing], objective: Objective
) -> str:
    meeting = [one for one in standings if one.met]
    what = _words(winner, objective)
    if len(standings) == 1:
        return f"{what}."
    if len(meeting) == 1:
        return f"{what}; no other kept the objective of {objective.p99_ms:g} ms."
    if winner is not best:
        return (
            f"{what}; {best.measured.candidate} gave {_words(best, objective)}, which was not "
            "better in every round by enough to count, and what comes first needs less of a change."
        )
    return f"{what}, the best of {len(meeting)} that kept the objective of {objective.p99_ms:g} ms."


def _why_nearest(nearest: Standing, objective: Objective) -> str:
    missed = f", {nearest.misses:g} frames without a verdict in time" if nearest.misses else ""
    return (
        f"None keeps a p99 of {objective.p99_ms:g} ms; nearest is {nearest.measured.candidate} "
        f"with {nearest.p99_ms:.1f} ms{missed}."
    )


def _words(one: Standing, objective: Objective) -> str:
    if objective.rate is None:
        return f"{one.frames_per_s:.1f} frames/s for {one.callers} callers, p99 {one.p99_ms:.1f} ms"
    return f"p99 {one.p99_ms:.1f} ms at {objective.rate:g} frames/s"
