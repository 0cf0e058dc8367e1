"""The shared queue as a person looks at it: dead letters, looked through and tried again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flawline.adapters.redis_queue import DeadLetter, DeadLetters, RedisQueue
from flawline.adapters.system_clock import SystemClock
from flawline.application.deadline import DeadlinePassed, within
from flawline.application.job import Expired, Job, JobOutcome, Judged
from flawline.bootstrap.shared_queue import queue_in_redis
from flawline.bootstrap.starting import StartupError
from flawline.core.priority import Priority
from flawline.settings import FlawlineSettings


@dataclass(frozen=True, slots=True)
class Desk:
    """Open while `desk` is."""

    letters: DeadLetters
    _queue: RedisQueue
    _clock: SystemClock

    async def replay(self, letter: DeadLetter, limit_s: float) -> JobOutcome:
        """Hand the job in once more, and wait for its outcome.

        With a verdict the letter is dropped. Raises InspectionError when the queue does not take it.
        """
        now_s = self._clock.monotonic_s()
        job = Job(
            job_id=uuid.uuid4().hex,
            picture=letter.picture,
            recipe=letter.recipe,
            min_score=letter.min_score,
            submitted_s=now_s,
            deadline_s=now_s + limit_s,
            line=letter.line,
            part_id=letter.part_id,
            priority=Priority.REINSPECTION,
        )
        await self._queue.submit(job)
        try:
            outcome = await within(self._clock, job.deadline_s, self._queue.result(job.job_id))
        except DeadlinePassed:
            await self._queue.cancel(job.job_id)
            return Expired()
        if isinstance(outcome, Judged):
            await self.letters.drop(letter.letter_id)
        return outcome


@asynccontextmanager
async def desk(settings: FlawlineSettings) -> AsyncIterator[Desk]:
    """A connection to the shared queue. Raises StartupError without one."""
    if settings.queue == "memory":
        raise StartupError(
            "The queue in memory keeps no dead letters: set FLAWLINE_QUEUE (--queue) to redis://..."
        )
    clock = SystemClock()
    queue = queue_in_redis(settings, clock, lambda *_: None)
    try:
        await queue.start()
        if not queue.reachable:
            raise StartupError(f"The queue (FLAWLINE_QUEUE) cannot be reached: {queue.error}")
        yield Desk(queue.dead_letters, queue, clock)
    finally:
        await queue.close()
