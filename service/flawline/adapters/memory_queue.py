"""The JobQueue of a single process: bounded, on one event loop, gone when the process ends."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

from flawline.application.job import Abandoned, Expired, Job, JobOutcome, Lease
from flawline.application.ports import Clock
from flawline.core.errors import NotReady, QueueFull

# On how many of the last outcomes the drain rate is measured, and what is said before the first.
_RATE_WINDOW = 64
_UNMEASURED_RETRY_S = 1.0
_MIN_RETRY_S = 0.1
_MAX_RETRY_S = 30.0


class MemoryQueue:
    """Holds at most `capacity` waiting jobs; a worker bounds by itself what it has leased."""

    def __init__(self, capacity: int, clock: Clock) -> None:
        self._capacity = capacity
        self._clock = clock
        self._waiting: dict[str, Job] = {}  # a dict keeps the order, and any job leaves at no cost
        self._outcomes: dict[str, asyncio.Future[JobOutcome]] = {}
        self._leased: dict[str, str] = {}
        self._receipts = itertools.count(1)
        self._resolved_s: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._work = asyncio.Event()
        self._closed = False

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._waiting)

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest waiting job has waited, in seconds; 0 when none waits."""
        for job in self._waiting.values():
            return self._clock.monotonic_s() - job.submitted_s
        return 0.0

    async def submit(self, job: Job) -> None:
        """Accept a job. Raises QueueFull, or NotReady once closed."""
        if self._closed:
            raise NotReady("draining", _UNMEASURED_RETRY_S)
        if len(self._waiting) >= self._capacity:
            self._resolve_expired()
        if len(self._waiting) >= self._capacity:
            raise QueueFull(self._retry_after_s())
        self._waiting[job.job_id] = job
        self._outcomes[job.job_id] = asyncio.get_running_loop().create_future()
        self._work.set()

    async def result(self, job_id: str) -> JobOutcome:
        """Wait for the outcome of an accepted job, and forget it. Raises KeyError if unknown."""
        # Shielded: whoever stops waiting must not take the outcome from others who wait.
        outcome = await asyncio.shield(self._outcomes[job_id])
        self._outcomes.pop(job_id, None)
        return outcome

    async def cancel(self, job_id: str) -> None:
        """Drop the job, or its outcome; harmless when it is not known."""
        self._waiting.pop(job_id, None)
        self._settle(job_id, Abandoned())
        self._outcomes.pop(job_id, None)

    async def lease(self, max_jobs: int) -> Sequence[Lease]:
        """Wait for work, then take up to `max_jobs` jobs, oldest first; none once closed."""
        while not self._closed:
            self._resolve_expired()
            job_ids = list(itertools.islice(self._waiting, max_jobs))
            if job_ids:
                return [self._lend(self._waiting.pop(job_id)) for job_id in job_ids]
            self._work.clear()
            await self._work.wait()
        return []

    async def resolve(self, lease: Lease, outcome: JobOutcome) -> None:
        """Hand over the outcome; a lease that has ended changes nothing."""
        if self._leased.pop(lease.receipt, None) is not None:
            self._resolved_s.append(self._clock.monotonic_s())
            self._settle(lease.job.job_id, outcome)

    async def close(self) -> None:
        """Wake all who lease, and tell all who wait for a result that there is none."""
        self._closed = True
        self._waiting.clear()
        for job_id in self._outcomes:
            self._settle(job_id, Abandoned())
        self._work.set()

    def _lend(self, job: Job) -> Lease:
        receipt = str(next(self._receipts))
        self._leased[receipt] = job.job_id
        return Lease(job, receipt)

    def _resolve_expired(self) -> None:
        now_s = self._clock.monotonic_s()
        for job in [job for job in self._waiting.values() if job.deadline_s <= now_s]:
            del self._waiting[job.job_id]
            self._settle(job.job_id, Expired())

    def _settle(self, job_id: str, outcome: JobOutcome) -> None:
        future = self._outcomes.get(job_id)
        if future is not None and not future.done():
            future.set_result(outcome)

    def _retry_after_s(self) -> float:
        """When, at the rate of the last outcomes, all that waits now will have been taken."""
        if not self._resolved_s:
            return _UNMEASURED_RETRY_S
        # Counted up to now, so that a worker which has stopped shows as slow.
        elapsed_s = self._clock.monotonic_s() - self._resolved_s[0]
        wanted_s = len(self._waiting) * elapsed_s / len(self._resolved_s)
        return min(max(wanted_s, _MIN_RETRY_S), _MAX_RETRY_S)
