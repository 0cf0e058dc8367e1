"""Where accepted work waits for a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flawline.application.job import Job, JobOutcome, Lease
from flawline.core.priority import Priority

EXTENSIONS_PER_LEASE = 3
"""So often is a lease extended in the time that it lasts: one or two may fail."""


class JobIntake(Protocol):
    """The end of a queue where work is handed in, and its outcome fetched."""

    async def submit(self, job: Job) -> None:
        """Accept a job, or raise QueueFull, LineFull, BackfillFull or NotReady at once.

        How much may wait for one more to be accepted depends on its class: `Priority.room_of`.
        """
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

    async def release(self, lease: Lease, *, counted: bool = False) -> None:
        """Hand a job back unworked, to be taken by another worker; to extend it then changes nothing.

        counted: as if its worker had died on it. After so many deliveries it has failed.
        """
        ...

    async def resolve(self, ended: Sequence[tuple[Lease, JobOutcome]]) -> None:
        """Save these outcomes, then end the leases; the first outcome of a job stands."""
        ...


class JobQueue(JobIntake, JobSource, Protocol):
    """Holds accepted work until a worker takes it, and brings the outcome to the one who waits."""

    async def close(self) -> None:
        """Wake every waiting `lease`; who still waits for a result learns that there is none."""
        ...


class LocalQueue(JobQueue, Protocol):
    """A queue within this process, which knows its state at any moment."""

    def depth_of(self, priority: Priority) -> int:
        """Jobs of that class that wait for a worker."""
        ...

    def oldest_age_s(self, priority: Priority) -> float:
        """How long the oldest waiting job of that class has waited, in seconds; 0 when none waits."""
        ...
