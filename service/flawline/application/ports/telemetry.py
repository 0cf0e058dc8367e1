"""Who is told what happens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from flawline.application.job import JobOutcome, Lease
from flawline.application.traces import StageSpan
from flawline.core.line_figures import Alarm
from flawline.core.values import Inspection, ModelInfo


class Telemetry(Protocol):
    """Counts what became of requests. Never raises, never waits."""

    def inspected(self, inspection: Inspection, *, waited_for: bool = True) -> None:
        """An accepted inspection was answered, with or without a verdict; waited_for: it is no backfill."""
        ...

    def rejected(self, reason: str) -> None:
        """A request was not accepted; `reason` is the code of an InspectionError."""
        ...

    def alarm_raised(self, line: str, alarm: Alarm) -> None:
        """Something about a declared line needs a person; told once, when it begins."""
        ...


class WorkerTelemetry(Protocol):
    """Counts what a worker does. Never raises, never waits."""

    def batch_ran(self, size: int, cut_because: str) -> None:
        """The engine was given a batch of that many pictures; `Cut.because` says why no more."""
        ...

    def engine_called(self, duration_s: float, failed: bool) -> None:
        """The network ran, or failed, for so long; a call that failed before: as long as it lasted."""
        ...

    def job_taken(self, deliveries: int) -> None:
        """Work on a job begins; it was lent so often, this time included."""
        ...

    def job_resolved(self, outcome: JobOutcome) -> None:
        """A job was ended with that outcome."""
        ...


class ModelTelemetry(Protocol):
    """Is told which models there are. Never raises, never waits."""

    def expect(self, recipes: Iterable[str], labels: Iterable[str]) -> None:
        """Pictures will be judged by these recipes, and flaws of these classes found."""
        ...

    def show_model(self, model: ModelInfo) -> None:
        """This one is stable now."""
        ...

    def model_changed(self, change: str, outcome: str) -> None:
        """load, unload, switch or roll_back was done, refused (nothing was tried), or failed."""
        ...


class InspectionSpan(Protocol):
    """One inspection in its trace, from request to answer; ended once."""

    @property
    def traceparent(self) -> str | None:
        """W3C trace context for what is done on its behalf; None when there is no trace."""
        ...

    def answered(self, inspection: Inspection) -> None:
        """It ended with an answer, with or without a verdict."""
        ...

    def ended(self, because: str) -> None:
        """It ended without one: the code of an InspectionError, "cancelled" or "internal"."""
        ...


class Traces(Protocol):
    """Records what became of inspections, wherever it was done. Only `close` waits, none raises."""

    def begin(self, traceparent: str | None) -> InspectionSpan:
        """An inspection begins; `traceparent` is the caller's W3C trace context, if he sent one."""
        ...

    def worked(self, lease: Lease, outcome: JobOutcome, spans: Sequence[StageSpan]) -> None:
        """A worker is done with a job; where it failed, it did in the last of these stages."""
        ...

    async def close(self) -> None:
        """Send what is left, in bounded time."""
        ...
