"""When the shared queue is away, work goes on in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.job import Job, JobOutcome
from flawline.application.ports import Clock, JobIntake
from flawline.core.errors import NotReady

# A queue that hangs must leave time to inspect here.
_PATIENCE_SHARE = 0.25


class FallbackQueue:
    """Jobs go to `shared` while it works, else to `local`; each outcome comes from where its job is.

    shared_works: what is known of it at this moment. A full shared queue is no outage: it refuses.
    """

    def __init__(
        self, shared: JobIntake, local: JobIntake, clock: Clock, shared_works: Callable[[], bool]
    ) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._shared_works = shared_works
        self._local_jobs: set[str] = set()
        self._errands: set[asyncio.Task[None]] = set()

    async def submit(self, job: Job) -> None:
        """Accept a job. Raises QueueFull, LineFull or BackfillFull, NotReady when neither takes work."""
        if self._shared_works() and await self._shared_took(job):
            return
        await self._local.submit(job)
        self._local_jobs.add(job.job_id)

    async def result(self, job_id: str) -> JobOutcome:
        """Wait for the outcome of an accepted job, and forget it."""
        outcome = await self._queue_of(job_id).result(job_id)
        self._local_jobs.discard(job_id)
        return outcome

    async def cancel(self, job_id: str) -> None:
        """Drop the job, or its outcome."""
        queue = self._queue_of(job_id)
        self._local_jobs.discard(job_id)
        await queue.cancel(job_id)

    def _queue_of(self, job_id: str) -> JobIntake:
        return self._local if job_id in self._local_jobs else self._shared

    async def _shared_took(self, job: Job) -> bool:
        now_s = self._clock.monotonic_s()
        until_s = now_s + (job.deadline_s - now_s) * _PATIENCE_SHARE
        try:
            await within(self._clock, until_s, self._shared.submit(job))
        except NotReady:
            return False
        except DeadlinePassed:
            # It may have been accepted all the same; to drop it may take as long again.
            errand = asyncio.create_task(self._shared.cancel(job.job_id))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)
            return False
        return True
