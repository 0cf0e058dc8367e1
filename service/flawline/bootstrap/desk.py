"""The shared queue as a person looks at it: dead letters, looked through and tried again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flawline.adapters.redis_queue import DeadLetter, DeadLetters, RedisQueue
from flawline.adapters.system_clock import SystemClock
from flawline.application.deadline import DeadlinePassed, within
from flawline.application.job import Expired, Failed, Job, JobOutcome, Judged
from flawline.bootstrap.shared_queue import queue_in_redis
from flawline.bootstrap.starting import StartupError
from flawline.core.priority import Priority
from flawline.settings import FlawlineSettings


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a job that was handed in once more, and the letter that keeps it; None with a verdict."""

    outcome: JobOutcome
    letter_id: str | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Open while `desk` is."""

    letters: DeadLetters
    _queue: RedisQueue
    _clock: SystemClock

    async def replay(self, letter: DeadLetter, limit_s: float) -> Replayed:
        """Hand the job in once more, and wait for its outcome.

        With a verdict the letter is dropped; so it is when the job failed and was buried anew. Raises
        InspectionError when the queue does not take it, and RedisError.
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
            return Replayed(Expired(), letter.letter_id)
        kept_as: str | None = letter.letter_id
        if isinstance(outcome, Judged):
            kept_as = None
        elif isinstance(outcome, Failed):
            kept_as = await self._buried_anew(job, letter) or letter.letter_id
        if kept_as != letter.letter_id:
            await self.letters.drop(letter.letter_id)
        return Replayed(outcome, kept_as)

    async def _buried_anew(self, job: Job, letter: DeadLetter) -> str | None:
        """The letter of that job; None where there is none, or it lacks the picture."""
        for later in await self.letters.all(after=letter.letter_id):
            if later.job_id == job.job_id:
                anew = await self.letters.find(later.letter_id)
                return anew.letter_id if anew and anew.picture == letter.picture else None
        return None


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
