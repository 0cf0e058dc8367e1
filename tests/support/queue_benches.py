"""Each JobQueue with what a test needs around it: a way to make jobs, and to let time pass."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from fakes import ManualClock, settle
from redis_process import RedisProcess

from flawline.adapters.memory_queue import MemoryQueue
from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.application.job import Job
from flawline.application.ports import Clock, JobQueue

CAPACITY = 4
LINE_CAPACITY = 3


class QueueBench:
    """A queue of CAPACITY, LINE_CAPACITY of one line. Jobs of a bench are of a line of their own."""

    queue: JobQueue
    clock: Clock
    most_at_once = 1

    async def open(self, request: pytest.FixtureRequest) -> None:
        raise NotImplementedError

    async def let_pass(self, seconds: float) -> None:
        raise NotImplementedError

    async def settle(self) -> None:
        """Until everybody waits for something."""
        raise NotImplementedError

    def job(self, name: str, deadline_in_s: float = 60.0, **options: Any) -> Job:
        now_s = self.clock.monotonic_s()
        return Job(
            job_id=name,
            picture=name.encode(),
            recipe="default",
            min_score=None,
            submitted_s=now_s,
            deadline_s=now_s + deadline_in_s,
            **{"line": f"line-of-{name}", **options},
        )

    async def submit(self, *names: str, deadline_in_s: float = 60.0) -> None:
        for name in names:
            await self.queue.submit(self.job(name, deadline_in_s))

    async def leased(self, max_jobs: int) -> list[str]:
        return [lease.job.job_id for lease in await self.queue.lease(max_jobs)]

    def same(self, one: Job, other: Job, within_s: float = 5.0) -> bool:
        """The same job; its moments may have been translated on the way."""
        times = {"submitted_s": 0.0, "deadline_s": 0.0}
        return (
            abs(one.deadline_s - other.deadline_s) < within_s
            and abs(one.submitted_s - other.submitted_s) < within_s
            and replace(one, **times) == replace(other, **times)
        )


class MemoryBench(QueueBench):
    async def open(self, request: pytest.FixtureRequest) -> None:
        self.clock: ManualClock = ManualClock()
        self.queue = MemoryQueue(
            CAPACITY, self.clock, line_capacity=LINE_CAPACITY, most_at_once=self.most_at_once
        )

    async def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def settle(self) -> None:
        await settle()


class RedisBench(QueueBench):
    """On a server of the tests' own; only time itself lets time pass there."""

    def __init__(self) -> None:
        self.clock: SystemClock = SystemClock()

    def url_of(self, redis: RedisProcess) -> str:
        return redis.url

    async def open(self, request: pytest.FixtureRequest) -> None:
        redis: RedisProcess = request.getfixturevalue("redis")
        self.options = RedisQueueOptions(
            url=self.url_of(redis),
            capacity=CAPACITY,
            line_capacity=LINE_CAPACITY,
            most_at_once=self.most_at_once,
            namespace=f"test-{uuid.uuid4().hex[:8]}",
            inline_picture_bytes=100,
        )
        self.queue = RedisQueue(self.options, self.clock)
        await self.queue.start()

    async def let_pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        await asyncio.sleep(0.05)


class RedisSocketBench(RedisBench):
    """The same server by its socket file."""

    def url_of(self, redis: RedisProcess) -> str:
        return redis.socket_url
