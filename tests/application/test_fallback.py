"""Work goes on in this process when the shared queue is away."""

from __future__ import annotations

import asyncio

import pytest
from fakes import ManualClock, settle

from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.fallback import FallbackQueue
from flawline.application.job import Failed, Job
from flawline.core.errors import NotReady, QueueFull


class Away(MemoryQueue):
    """A shared queue that can be unreachable, or silent."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(1, clock)
        self.works = True
        self.silent = False
        self.cancelled: list[str] = []

    async def submit(self, job: Job) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if not self.works:
            raise NotReady("queue_unavailable", 1.0)
        await super().submit(job)

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        await super().cancel(job_id)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.shared = Away(self.clock)
        self.local = MemoryQueue(2, self.clock)
        self.known_to_work = True
        self.queue = FallbackQueue(self.shared, self.local, self.clock, lambda: self.known_to_work)

    def job(self, name: str) -> Job:
        now_s = self.clock.monotonic_s()
        return Job(name, b"", "default", None, now_s, now_s + 1.0, line="press")

    async def answer(self, queue: MemoryQueue, name: str) -> None:
        (lease,) = await queue.lease(1)
        assert lease.job.job_id == name
        await queue.resolve([(lease, Failed(name))])
        assert await self.queue.result(name) == Failed(name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_while_the_shared_queue_works_it_is_used_and_its_bound_holds(bench: Bench) -> None:
    await bench.queue.submit(bench.job("a"))
    with pytest.raises(QueueFull):
        await bench.queue.submit(bench.job("b"))
    await bench.answer(bench.shared, "a")
    assert bench.local.depth == 0


async def test_what_it_cannot_take_is_done_here(bench: Bench) -> None:
    bench.shared.works = False
    await bench.queue.submit(bench.job("a"))
    await bench.answer(bench.local, "a")


async def test_what_is_known_to_be_away_is_not_asked(bench: Bench) -> None:
    bench.known_to_work = False
    await bench.queue.submit(bench.job("a"))
    assert bench.shared.depth == 0
    await bench.answer(bench.local, "a")


async def test_a_queue_that_hangs_leaves_time_to_inspect_here(bench: Bench) -> None:
    bench.shared.silent = True
    submitting = asyncio.create_task(bench.queue.submit(bench.job("a")))
    await settle()
    assert not submitting.done()
    bench.clock.advance(0.25)
    await submitting
    await settle()
    assert bench.shared.cancelled == ["a"]
    await bench.answer(bench.local, "a")


async def test_a_job_is_dropped_where_it_is(bench: Bench) -> None:
    await bench.queue.submit(bench.job("a"))
    bench.shared.works = False
    await bench.queue.submit(bench.job("b"))
    await bench.queue.cancel("a")
    await bench.queue.cancel("b")
    assert (bench.shared.depth, bench.local.depth) == (0, 0)
