"""What the use cases need of the outside, and nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from flawline.application.answer import KeptAnswer
from flawline.application.job import Job, JobOutcome, Lease
from flawline.application.ticket import Pending, TicketState
from flawline.application.traces import StageSpan
from flawline.application.watchers import WatchedInspection
from flawline.core.line_figures import Alarm
from flawline.core.values import Inspection, ModelInfo, RawOutput

T = TypeVar("T")


class NothingToRun(Exception):  # noqa: N818 - an ordinary turn of events, caught by the one who asked
    """What makes a batch found that no picture of it is left to run."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Make sure it does not happen; harmless when it already did."""
        ...


class Clock(Protocol):
    """The only source of time. Deadlines use the monotonic clock, answers carry the time of day."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back; may be read from any thread."""
        ...

    def utc_now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def call_at(self, moment_s: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running event loop at that monotonic moment; soon, if it has passed."""
        ...


class InferenceEngine(Protocol):
    """Runs one network. No more calls are open at a time than it was made to run side by side."""

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        """Make a batch, run it, and use its output, all on one thread of the engine's own.

        A change of threads costs more than much of the work around a network. `made` gives uint8
        [N, 1, height, width], grey values in input pixels, which stay unchanged until the call ends;
        row i of the output belongs to image i. What `used` gives is returned. Any exception means
        that no row has an output; one of `made` or `used` comes out as it is.
        """
        ...

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        """Run a batch that is there, as `run`, and return its output."""
        ...


class StartableEngine(InferenceEngine, Protocol):
    """An engine that comes and goes while the process runs."""

    @property
    def fell_back(self) -> bool:
        """Whether it computes on the CPU although another device was asked for."""
        ...

    async def start(self) -> None:
        """Load the network and run it once. Raises flawspec's ArtifactError."""
        ...

    def close(self) -> None:
        """Give back what it holds; may block for a moment, and be called more than once."""
        ...


class JobIntake(Protocol):
    """The end of a queue where work is handed in, and its outcome fetched."""

    async def submit(self, job: Job) -> None:
        """Accept a job, or raise QueueFull, LineFull or NotReady at once."""
        ...

    async def result(self, job_id: str) -> JobOutcome:
        """Wait for the outcome of an accepted job, and forget it.

        The caller bounds the wait by cancelling it.
        """
        ...

    async def cancel(self, job_id: str) -> None:
        """Nobody wants the outcome any more: drop the job, or its outcome if it runs already."""
        ...


class JobSource(Protocol):
    """The end of a queue where workers take work."""

    async def lease(self, max_jobs: int) -> Sequence[Lease]:
        """Wait for work, then take 1 to `max_jobs` jobs; none once it is closed.

        The order is that of `flawline.core.priority`, the oldest of a class first. Cancelled jobs
        are dropped and expired ones resolved as such here, before any work is spent on them.
        Cancelling a waiting `lease` loses no job.
        """
        ...

    async def extend(self, leases: Sequence[Lease]) -> None:
        """Say that these are still being worked on, or another worker may be given them."""
        ...

    async def release(self, lease: Lease) -> None:
        """Hand a job back unworked, to be taken by another worker."""
        ...

    async def resolve(self, lease: Lease, outcome: JobOutcome) -> None:
        """Save the outcome, then end the lease; the first outcome of a job stands."""
        ...


class JobQueue(JobIntake, JobSource, Protocol):
    """Holds accepted work until a worker takes it, and brings the outcome to the one who waits."""

    async def close(self) -> None:
        """Wake every waiting `lease`; who still waits for a result learns that there is none."""
        ...


class LocalQueue(JobQueue, Protocol):
    """A queue within this process, which knows its state at any moment."""

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        ...

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest waiting job has waited, in seconds; 0 when none waits."""
        ...


class AnswerMemory(Protocol):
    """Answers kept under idempotency keys, for a set time, and who is about to give one."""

    async def claim(self, key: str, life_s: float) -> bool:
        """Whether the answer is ours to give now; False while another process works on it.

        Ends by itself after `life_s`, so that nobody waits for one who died.
        """
        ...

    async def release(self, key: str) -> None:
        """Our claim has ended; harmless when it had already."""
        ...

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one."""
        ...

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; returns the one that is kept: the first wins."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep these no longer; nobody will ask again."""
        ...

    async def identity(self) -> str:
        """A name that is another one once what was kept is lost."""
        ...


class InspectionFeed(Protocol):
    """Brings finished inspections to whoever watches, whichever process finished them."""

    def publish(self, inspection: Inspection) -> None:
        """Tell all who watch. Never raises, never waits."""
        ...

    def watch(
        self, lines: frozenset[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchedInspection]]:
        """What is finished from the moment on at which it is entered; of all lines for an empty set.

        A watcher that is too slow misses the oldest, and learns how many.
        """
        ...


class TicketMemory(Protocol):
    """How inspections stand whose callers come back for the answer; each for a set time."""

    async def expect(self, key: str, pending: Pending) -> None:
        """Note that one runs, unless its answer is there already."""
        ...

    async def keep(self, key: str, state: TicketState) -> None:
        """Keep the answer, in the place of what is noted."""
        ...

    async def find(self, key: str) -> TicketState | None:
        """How it stands; None when it is not known. Raises NotReady when that cannot be told."""
        ...


class Telemetry(Protocol):
    """Counts what became of requests. Never raises, never waits."""

    def inspected(self, inspection: Inspection) -> None:
        """An accepted inspection was answered, with or without a verdict."""
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
