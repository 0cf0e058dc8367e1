"""One inspection is one trace: what of it is known here, and what is done with it when nobody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flawline.application.job import JobOutcome, Lease
from flawline.core.errors import InspectionError
from flawline.core.values import Inspection, StageTimes


@dataclass(frozen=True, slots=True)
class StageSpan:
    """One stage of one picture, from and to moments of the monotonic clock, in seconds.

    stage: queue, decode, preprocess, inference or postprocess, as in StageTimes.
    """

    stage: str
    started_s: float
    ended_s: float


class Trail:
    """The stages that a picture went through, in order; the one that failed is the last.

    One thread at a time adds to it.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._spans: list[StageSpan] = []

    @property
    def spans(self) -> tuple[StageSpan, ...]:
        """Those that have ended."""
        return tuple(self._spans)

    @property
    def ended_s(self) -> float:
        """When the last of them ended. Raises IndexError before the first."""
        return self._spans[-1].ended_s

    def add(self, stage: str, started_s: float, ended_s: float) -> None:
        """A stage that has ended."""
        self._spans.append(StageSpan(stage, started_s, ended_s))

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """The work of a stage, timed; it counts when it raises too."""
        started_s = self._monotonic_s()
        try:
            yield
        finally:
            self.add(stage, started_s, self._monotonic_s())

    def times(self) -> StageTimes:
        """Milliseconds by stage."""
        sums_ms: dict[str, float] = {}
        for span in self._spans:
            name = f"{span.stage}_ms"
            sums_ms[name] = sums_ms.get(name, 0.0) + (span.ended_s - span.started_s) * 1000
        return StageTimes(**sums_ms)


class NoTraces:
    """Records nothing; the caller's own trace context still travels with the job, to the log."""

    def begin(self, traceparent: str | None) -> NoSpan:
        """An inspection begins."""
        return NoSpan(traceparent)

    def worked(self, lease: Lease, outcome: JobOutcome, spans: Sequence[StageSpan]) -> None:
        """A worker is done with a job."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class NoSpan:
    """An inspection that is not recorded."""

    traceparent: str | None

    def answered(self, inspection: Inspection) -> None:
        """It ended with an answer."""

    def ended(self, because: str) -> None:
        """It ended without one."""


def why_ended(error: BaseException) -> str:
    """One word for an inspection that got no answer."""
    if isinstance(error, InspectionError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "internal"
