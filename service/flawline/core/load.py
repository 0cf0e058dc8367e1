"""Figures of a load test: what became of each frame, and how long it took from when it was due.

Latency counts from the moment at which a frame should have been sent. A generator that waits for a slow server before
it sends the next frame would otherwise leave out the very frames that had to wait (coordinated omission).
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np


class OutcomeKind(Enum):
    """How one frame ended.

    VERDICT: OK, NotOK or NotDecidable. UNDEFINED: the service answered that it has none (504). REFUSED: it took no
    work (429, 503). ERROR: anything else, as a picture that it cannot use, or no answer at all.
    """

    VERDICT = "verdict"
    UNDEFINED = "undefined"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """word: the verdict, or a stable code of the reason why there is none."""

    kind: OutcomeKind
    word: str


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """sent = answered + refused + errors; answered = verdicts + undefined.

    frames_per_s: of frames with a verdict. p50_ms ... max_ms: of answered frames, from when they were due; None without
    any. late: verdicts that came after the deadline. lag_p99_ms: how late the generator was in sending.
    """

    seconds: float
    sent: int
    verdicts: dict[str, int]
    undefined: dict[str, int]
    refused: dict[str, int]
    errors: dict[str, int]
    late: int
    frames_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    lag_p99_ms: float | None

    @property
    def answered(self) -> int:
        """Frames that the service answered, with a verdict or with Undefined."""
        return sum(self.verdicts.values()) + sum(self.undefined.values())

    @property
    def misses(self) -> int:
        """Frames without a verdict by their deadline, whatever the reason."""
        return self.sent - sum(self.verdicts.values()) + self.late


class LoadRecord:
    """What was measured so far. deadline_ms: of each frame, from when it is due."""

    def __init__(self, deadline_ms: float) -> None:
        self._deadline_s = deadline_ms / 1000
        self._words: dict[OutcomeKind, Counter[str]] = {kind: Counter() for kind in OutcomeKind}
        self._late = 0
        self._lags_s = array("d")
        self.due_s = array("d")
        self.latencies_s = array("d")

    def add(self, due_s: float, done_s: float, outcome: Outcome) -> None:
        """One frame that was due at `due_s` and ended at `done_s`, on one clock."""
        self._words[outcome.kind][outcome.word] += 1
        if outcome.kind not in {OutcomeKind.VERDICT, OutcomeKind.UNDEFINED}:
            return
        self.due_s.append(due_s)
        self.latencies_s.append(done_s - due_s)
        if outcome.kind is OutcomeKind.VERDICT and done_s - due_s > self._deadline_s:
            self._late += 1

    def add_lag(self, lag_s: float) -> None:
        """The generator did something so much later than it meant to."""
        self._lags_s.append(lag_s)

    def figures(self, seconds: float) -> LoadFigures:
        """The figures of that many seconds."""
        words = {kind: dict(sorted(counted.items())) for kind, counted in self._words.items()}
        verdicts = words[OutcomeKind.VERDICT]
        p50_ms, p95_ms, p99_ms, max_ms = percentiles_ms(self.latencies_s, (0.5, 0.95, 0.99, 1.0))
        (lag_p99_ms,) = percentiles_ms(self._lags_s, (0.99,))
        return LoadFigures(
            seconds=seconds,
            sent=sum(sum(counted.values()) for counted in words.values()),
            verdicts=verdicts,
            undefined=words[OutcomeKind.UNDEFINED],
            refused=words[OutcomeKind.REFUSED],
            errors=words[OutcomeKind.ERROR],
            late=self._late,
            frames_per_s=sum(verdicts.values()) / seconds if seconds > 0 else 0.0,
            p50_ms=p50_ms,
            p95_ms=p95_ms,
            p99_ms=p99_ms,
            max_ms=max_ms,
            lag_p99_ms=lag_p99_ms,
        )


def percentiles_ms(seconds: Sequence[float], shares: Sequence[float]) -> list[float | None]:
    """The smallest value that such a share of all values does not exceed (nearest rank), in ms.

    shares: above 0, at most 1. None for each without any value.
    """
    if not len(seconds):
        return [None for _ in shares]
    ordered = np.sort(np.asarray(seconds))
    return [float(ordered[math.ceil(share * len(ordered)) - 1]) * 1000 for share in shares]


@dataclass(frozen=True, slots=True)
class LoadObjectives:
    """What the figures should keep; None asks for nothing."""

    max_p99_ms: float | None = None
    max_misses: int | None = None

    def unmet(self, figures: LoadFigures) -> tuple[str, ...]:
        """A sentence for each that is not kept."""
        said = []
        if self.max_misses is not None and not figures.sent:
            said.append(
                f"No frame was measured, so there is no telling of {self.max_misses} misses."
            )
        if self.max_p99_ms is not None and figures.p99_ms is None:
            said.append(f"No frame was answered, so there is no p99 of {self.max_p99_ms:g} ms.")
        elif self.max_p99_ms is not None and (figures.p99_ms or 0.0) > self.max_p99_ms:
            said.append(
                f"p99 is {figures.p99_ms:.1f} ms; the objective is at most {self.max_p99_ms:g} ms."
            )
        if self.max_misses is not None and figures.misses > self.max_misses:
            said.append(
                f"{figures.misses} frames had no verdict in time; the objective is at most "
                f"{self.max_misses}."
            )
        return tuple(said)


# The share of p99 that the generator's own lateness may have, and how busy its one core may be.
_MOST_LAG = 0.1
_MOST_BUSY = 0.7


def doubts(figures: LoadFigures, cpu_share: float) -> tuple[str, ...]:
    """Why the generator itself may be what was measured. cpu_share: of one core that it used."""
    said = []
    if not figures.sent:
        said.append(
            "No frame was sent after the warm-up: answers take longer than all of it; give it more time."
        )
    lag_ms, p99_ms = figures.lag_p99_ms, figures.p99_ms
    if lag_ms is not None and p99_ms is not None and lag_ms > _MOST_LAG * p99_ms:
        said.append(
            f"The generator itself was late by {lag_ms:.1f} ms (p99), which is more than "
            f"{_MOST_LAG:.0%} of the latency's p99: do not trust these figures. Lower the rate, or "
            "give it a machine of its own."
        )
    if cpu_share > _MOST_BUSY:
        said.append(
            f"The generator used {cpu_share:.0%} of the one core that it can use: the limit found may "
            "be its own. Run several at a time, each with a share of the load."
        )
    return tuple(said)
