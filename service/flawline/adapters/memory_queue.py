"""The JobQueue of a single process: bounded, on one event loop, gone when the process ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from flawline.application.failures import new_error_id
from flawline.application.job import Abandoned, Expired, Failed, Job, JobOutcome, Lease
from flawline.application.ports import Clock
from flawline.core.drain import RATE_WINDOW, UNMEASURED_RETRY_S, retry_after_s
from flawline.core.errors import BackfillFull, LineFull, NotReady, QueueFull
from flawline.core.priority import Priority, order_at

logger = logging.getLogger(__name__)


class MemoryQueue:
    """Holds at most `capacity` waiting jobs; a worker bounds by itself what it has leased.

    line_capacity: how many of them may be of one line; None for all. most_at_once: see `Priority.room_of`.
    max_deliveries: how often a job is lent whose deliveries count. A lease never runs out: its worker lives and dies
    with this process.
    """

    def __init__(
        self,
        capacity: int,
        clock: Clock,
        *,
        line_capacity: int | None = None,
        most_at_once: int = 1,
        max_deliveries: int = 3,
    ) -> None:
        self._capacity = capacity
        self._max_deliveries = max_deliveries
        self._most_at_once = most_at_once
        self._line_capacity = capacity if line_capacity is None else line_capacity
        self._clock = clock
        self._waiting = _Waiting()
        self._outcomes: dict[str, asyncio.Future[JobOutcome]] = {}
        self._leased: dict[str, str] = {}
        self._receipts = itertools.count(1)
        self._turns = itertools.count()
        self._resolved_s: deque[float] = deque(maxlen=RATE_WINDOW)
        self._work = asyncio.Event()
        self._closed = False

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._waiting)

    def depth_of(self, priority: Priority) -> int:
        """Those of that class."""
        return self._waiting.of_class(priority)

    def oldest_age_s(self, priority: Priority) -> float:
        """How long the oldest of them has waited, in seconds; 0 when none waits."""
        head = self._waiting.head(priority)
        return 0.0 if head is None else self._clock.monotonic_s() - head.submitted_s

    async def submit(self, job: Job) -> None:
        """Accept a job. Raises QueueFull, LineFull or BackfillFull, or NotReady once closed."""
        if self._closed:
            raise NotReady("draining", UNMEASURED_RETRY_S)
        if not self._has_room(job):
            self._resolve_expired()
        if not self._has_room(job):
            raise self._full(job)
        self._waiting.add(job)
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
        self._waiting.remove(job_id)
        self._settle(job_id, Abandoned())
        self._outcomes.pop(job_id, None)

    async def lease(self, max_jobs: int) -> Sequence[Lease]:
        """Wait for work, then take up to `max_jobs` jobs; none once closed."""
        while not self._closed:
            self._resolve_expired()
            if leases := [self._lend() for _ in range(min(max_jobs, len(self._waiting)))]:
                return leases
            self._work.clear()
            await self._work.wait()
        return []

    async def extend(self, leases: Sequence[Lease]) -> None:
        """Nothing to do: a lease never runs out here."""

    async def release(self, lease: Lease, *, counted: bool = False) -> None:
        """Put the job back in front of its class; a lease that has ended changes nothing."""
        job, deliveries = lease.job, lease.deliveries - (not counted)
        if self._leased.pop(lease.receipt, None) is None or job.job_id not in self._outcomes:
            return
        if deliveries >= self._max_deliveries:
            error_id = new_error_id()
            logger.error("given_up inspection_id=%s error_id=%s", job.job_id, error_id)
            self._settle(job.job_id, Failed(error_id))
        elif not self._closed:
            self._waiting.put_back(job, deliveries)
            self._work.set()

    async def resolve(self, ended: Sequence[tuple[Lease, JobOutcome]]) -> None:
        """Hand over the outcomes; a lease that has ended changes nothing."""
        for lease, outcome in ended:
            if self._leased.pop(lease.receipt, None) is not None:
                self._resolved_s.append(self._clock.monotonic_s())
                self._settle(lease.job.job_id, outcome)

    async def close(self) -> None:
        """Wake all who lease, and tell all who wait for a result that there is none."""
        self._closed = True
        self._waiting = _Waiting()
        for job_id in self._outcomes:
            self._settle(job_id, Abandoned())
        self._work.set()

    def _has_room(self, job: Job) -> bool:
        room, room_of_line = (
            job.priority.room_of(capacity, self._most_at_once)
            for capacity in (self._capacity, self._line_capacity)
        )
        return len(self._waiting) < room and self._waiting.of_line(job.line) < room_of_line

    def _full(self, job: Job) -> QueueFull:
        pause_s = self._retry_after_s()
        if job.priority is Priority.BACKFILL:
            return BackfillFull(pause_s)
        full = len(self._waiting) >= self._capacity
        return QueueFull(pause_s) if full else LineFull(job.line, pause_s)

    def _lend(self) -> Lease:
        job, deliveries = self._waiting.take(next(self._turns))
        receipt = str(next(self._receipts))
        self._leased[receipt] = job.job_id
        return Lease(job, receipt, deliveries + 1)

    def _resolve_expired(self) -> None:
        now_s = self._clock.monotonic_s()
        for job in [job for job in self._waiting if job.deadline_s <= now_s]:
            self._waiting.remove(job.job_id)
            self._settle(job.job_id, Expired())

    def _settle(self, job_id: str, outcome: JobOutcome) -> None:
        future = self._outcomes.get(job_id)
        if future is not None and not future.done():
            future.set_result(outcome)

    def _retry_after_s(self) -> float:
        resolved_s = self._resolved_s
        elapsed_s = self._clock.monotonic_s() - resolved_s[0] if resolved_s else 0.0
        return retry_after_s(len(self._waiting), len(resolved_s), elapsed_s)


class _Waiting:
    """Jobs by class, the oldest first; counted by line."""

    def __init__(self) -> None:
        # A dict keeps the order, and any job leaves at no cost.
        self._by_class: dict[Priority, dict[str, Job]] = {priority: {} for priority in Priority}
        self._of_line: Counter[str] = Counter()
        self._deliveries: dict[str, int] = {}  # of those where some count

    def __len__(self) -> int:
        return sum(map(len, self._by_class.values()))

    def __iter__(self) -> Iterator[Job]:
        for jobs in self._by_class.values():
            yield from jobs.values()

    def of_line(self, line: str) -> int:
        return self._of_line[line]

    def of_class(self, priority: Priority) -> int:
        return len(self._by_class[priority])

    def head(self, priority: Priority) -> Job | None:
        return next(iter(self._by_class[priority].values()), None)

    def add(self, job: Job) -> None:
        self._by_class[job.priority][job.job_id] = job
        self._of_line[job.line] += 1

    def put_back(self, job: Job, deliveries: int) -> None:
        if deliveries:
            self._deliveries[job.job_id] = deliveries
        behind = self._by_class[job.priority]
        self._by_class[job.priority] = {job.job_id: job, **behind}
        self._of_line[job.line] += 1

    def take(self, turn: int) -> tuple[Job, int]:
        """The next one, and how many deliveries count; there must be one."""
        jobs = next(jobs for priority in order_at(turn) if (jobs := self._by_class[priority]))
        job = next(iter(jobs.values()))
        deliveries = self._deliveries.get(job.job_id, 0)
        self.remove(job.job_id)
        return job, deliveries

    def remove(self, job_id: str) -> None:
        """Harmless when it does not wait."""
        self._deliveries.pop(job_id, None)
        for jobs in self._by_class.values():
            if job := jobs.pop(job_id, None):
                self._of_line[job.line] -= 1
                if not self._of_line[job.line]:
                    del self._of_line[job.line]
