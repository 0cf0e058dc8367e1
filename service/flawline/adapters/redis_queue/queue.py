"""The JobQueue that several processes share, on Redis Streams."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from flawline.adapters.redis_queue.answers import RedisAnswers
from flawline.adapters.redis_queue.connection import (
    Backoff,
    OutOfMemoryError,
    RedisError,
    Server,
    end,
    lost,
)
from flawline.adapters.redis_queue.dead_letters import DeadLetters
from flawline.adapters.redis_queue.eviction import Eviction
from flawline.adapters.redis_queue.feed import RedisFeed
from flawline.adapters.redis_queue.keys import CLASSES, GRACE_S, Keys
from flawline.adapters.redis_queue.large_pictures import LargePictures
from flawline.adapters.redis_queue.leases import Leases
from flawline.adapters.redis_queue.options import RedisQueueOptions
from flawline.adapters.redis_queue.replies import Replies
from flawline.adapters.redis_queue.state import QueueState
from flawline.adapters.redis_queue.tickets import RedisTickets
from flawline.adapters.redis_queue.wire import (
    Resolved,
    announced_from_wire,
    announcement_to_wire,
    meta_of,
    outcome_to_wire,
)
from flawline.application.job import Expired, Job, JobOutcome, Lease
from flawline.application.ports import Clock
from flawline.core.drain import UNMEASURED_RETRY_S, retry_after_s
from flawline.core.errors import BackfillFull, LineFull, NotReady, QueueFull
from flawline.core.priority import Priority
from flawline.core.values import ModelInfo

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_OUTAGE_RETRY_S = 2.0


def _count_nothing(event: str, count: int) -> None:
    del event, count


class RedisQueue:
    """Both ends of the queue; a process uses one, or as a test both.

    count: told what happened to jobs, in the words of `flawline_queue_events_total`. `state` and
    `announced` (the models that workers inspect with) are anew every second.
    """

    def __init__(
        self,
        options: RedisQueueOptions,
        clock: Clock,
        count: Callable[[str, int], None] = _count_nothing,
    ) -> None:
        self._options = options
        self._clock = clock
        keys = Keys(options.namespace)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._keys = keys
        self._server = Server(options.url, keys, options.command_timeout_s)
        self._eviction = Eviction(self._server)
        self._pictures = LargePictures(self._server, keys)
        self._replies = Replies(self._server, keys.replies(self.name))
        self._leases = Leases(
            self._server,
            keys,
            clock,
            count,
            consumer=self.name,
            lease_s=options.lease_s,
            max_deliveries=options.max_deliveries,
        )
        self._lines: dict[str, str] = {}
        self._feeds: list[RedisFeed] = []
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False
        self._announcement: str | None = None
        self.state = QueueState()
        self.announced: tuple[ModelInfo, ...] = ()

    async def start(self, announce: ModelInfo | None = None) -> None:
        """Begin to watch whether the server answers, and how the queue stands.

        announce: the model that this process inspects with, told to the others while it does.
        """
        if announce is not None:
            self._announcement = announcement_to_wire(self.name, announce)
        await self._look()
        self._watcher = asyncio.create_task(self._watch(), name="flawline redis")

    @property
    def reachable(self) -> bool:
        """Whether the server answered last time; it is asked every second."""
        return self._server.link.up

    @property
    def error(self) -> str:
        """Why it did not answer, in the words of redis-py, which has no password in them; empty while it does."""
        return self._server.link.error

    @property
    def fault(self) -> str | None:
        """Why nothing can be handed in, as NotReady says it; looked at every second."""
        return self._server.link.fault

    @property
    def dead_letters(self) -> DeadLetters:
        """Jobs that were given up."""
        return DeadLetters(self._server, self._keys)

    def answers(self, life_s: float) -> RedisAnswers:
        """Answers under idempotency keys, shared by all apis of this queue."""
        return RedisAnswers(self._server, self._keys, life_s)

    def feed(self, most: int) -> RedisFeed:
        """Finished inspections of all apis of this queue; most: unread ones kept for each watcher."""
        self._feeds.append(RedisFeed(self._server, self._keys, self.name, most))
        return self._feeds[-1]

    def tickets(self, life_s: float) -> RedisTickets:
        """How inspections stand whose callers come back, shared likewise."""
        return RedisTickets(self._server, self._keys, life_s)

    async def submit(self, job: Job) -> None:
        """Accept a job. Raises QueueFull, LineFull, BackfillFull or NotReady."""
        if self._closed:
            raise NotReady("draining", UNMEASURED_RETRY_S)
        self._replies.expect(job.job_id)
        self._lines[job.job_id] = job.line
        try:
            await self._submit(job)
        except OutOfMemoryError as error:
            self._forget(job.job_id)
            self._server.link.filled(error)
            raise NotReady("queue_out_of_memory", _OUTAGE_RETRY_S) from error
        except RedisError as error:
            lost(f"not_handed_in inspection_id={job.job_id} bytes={len(job.picture)}", error)
            self._forget(job.job_id)
            raise NotReady("queue_unavailable", _OUTAGE_RETRY_S) from error
        except QueueFull:
            self._forget(job.job_id)
            raise

    async def result(self, job_id: str) -> JobOutcome:
        """Wait for the outcome of an accepted job, and forget it. Raises KeyError if unknown."""
        outcome = await self._replies.outcome(job_id)
        self._lines.pop(job_id, None)
        return outcome

    async def cancel(self, job_id: str) -> None:
        """Drop the job, or its outcome; harmless when it is not known, or the server is away."""
        line = self._lines.get(job_id)
        self._forget(job_id)
        if line is not None:
            with suppress(RedisError):
                await self._server.run("cancel", job_id, line, self._replies.key)

    async def lease(self, max_jobs: int) -> Sequence[Lease]:
        """Wait for work, then take up to `max_jobs` jobs; none once closed.

        An outage is waited for: a worker outlives its server.
        """
        return await self._leases.take(max_jobs)

    async def extend(self, leases: Sequence[Lease]) -> None:
        """Make them last `lease_s` from now; those that were lost stay lost."""
        with suppress(RedisError):
            await self._leases.extend(leases)

    async def release(self, lease: Lease, *, counted: bool = False) -> None:
        """Hand it back to be taken at once. During an outage: once the lease has run out."""
        with suppress(RedisError):
            await self._leases.release(lease, counted=counted)

    async def resolve(self, ended: Sequence[tuple[Lease, JobOutcome]]) -> None:
        """Save and acknowledge in one step; jobs that failed are kept as dead letters too.

        Tried until it works, or until a deadline, when nobody waits for that outcome any more:
        the next one to take the job will find it expired.
        """
        backoff = Backoff()
        left = [Resolved.of(lease, outcome) for lease, outcome in ended]
        self._leases.let_go([one.lease for one in left])
        while left:
            try:
                await self._leases.resolve(left)
            except RedisError as error:  # noqa: PERF203 - an outage ends no loop
                now_s = self._clock.monotonic_s()
                for late in (one for one in left if one.lease.job.deadline_s < now_s):
                    logger.warning(
                        "outcome_lost inspection_id=%s error=%s", late.lease.job.job_id, error
                    )
                if left := [one for one in left if one.lease.job.deadline_s >= now_s]:
                    await asyncio.sleep(backoff.next_s())
            else:
                return

    async def close(self) -> None:
        """End all waiting and all connections; jobs that wait stay for other processes."""
        if self._closed:
            return
        self._closed = True
        if self._watcher is not None:
            await end(self._watcher)
        if self._announcement is not None:
            with suppress(RedisError):
                await self._server.run("announce", self._announcement, 0)
        await self._leases.close()
        lines = dict(self._lines)  # those who are told now forget theirs
        unanswered = await self._replies.close()
        for feed in self._feeds:
            await feed.close()
        with suppress(RedisError):
            for job_id in unanswered:  # in turn: the first failure ends it
                await self._server.run("cancel", job_id, lines[job_id], self._replies.key)
        await self._server.close()

    async def _submit(self, job: Job) -> None:
        options, server = self._options, self._server
        picture = job.picture
        if len(picture) > options.inline_picture_bytes:
            life_ms = self._remaining_ms(job) + round(GRACE_S * 1000)
            await self._pictures.put(job.job_id, picture, life_ms)
            picture = b""
        status, *numbers = await server.run(
            "submit",
            job.job_id,
            CLASSES.index(job.priority) + 1,
            job.line,
            self._remaining_ms(job),  # a large picture took its time
            meta_of(job),
            picture,
            job.priority.room_of(options.capacity, options.most_at_once),
            job.priority.room_of(options.line_capacity, options.most_at_once),
            self._replies.key,
            outcome_to_wire(Expired()),
            self.name,
        )
        if status == b"accepted":
            return
        if len(job.picture) > options.inline_picture_bytes:
            await self._pictures.drop(job.job_id)
        waiting, outcomes, elapsed_ms = numbers
        pause_s = retry_after_s(waiting, outcomes, elapsed_ms / 1000)
        if job.priority is Priority.BACKFILL:
            raise BackfillFull(pause_s)
        raise LineFull(job.line, pause_s) if status == b"line_full" else QueueFull(pause_s)

    def _remaining_ms(self, job: Job) -> int:
        return max(1, math.ceil((job.deadline_s - self._clock.monotonic_s()) * 1000))

    def _forget(self, job_id: str) -> None:
        self._replies.forget(job_id)
        self._lines.pop(job_id, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self._look()
            except Exception:
                logger.exception("look_failed")

    async def _look(self) -> None:
        with suppress(RedisError):
            await self._look_closely()

    async def _look_closely(self) -> None:
        waiting, leased, dead, announced, now_ms = await self._server.run("measure")
        if self._announcement is not None:
            await self._server.run("announce", self._announcement, 1)
        self._server.link.time_is(timedelta(milliseconds=now_ms), self._clock.utc_now())
        self.state = QueueState.of(waiting, leased, dead)
        self.announced = announced_from_wire(announced)
        await self._server.look_for_room()
        await self._eviction.look()
