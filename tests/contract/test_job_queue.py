"""What every JobQueue does. Another adapter joins by its factory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fakes import ManualClock, settle

from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.job import Abandoned, Expired, Failed, Job
from flawline.application.ports import JobQueue
from flawline.core.errors import NotReady, QueueFull

CAPACITY = 4


@dataclass
class Bench:
    queue: JobQueue
    clock: ManualClock

    def job(self, name: str, deadline_in_s: float = 60.0) -> Job:
        now_s = self.clock.monotonic_s()
        return Job(
            job_id=name,
            picture=name.encode(),
            recipe="default",
            min_score=None,
            submitted_s=now_s,
            deadline_s=now_s + deadline_in_s,
        )

    async def submit(self, *names: str, deadline_in_s: float = 60.0) -> None:
        for name in names:
            await self.queue.submit(self.job(name, deadline_in_s))


def memory_queue(clock: ManualClock) -> JobQueue:
    return MemoryQueue(CAPACITY, clock)


@pytest.fixture(params=[memory_queue])
def bench(request: pytest.FixtureRequest) -> Bench:
    factory: Callable[[ManualClock], JobQueue] = request.param
    clock = ManualClock()
    return Bench(factory(clock), clock)


def failed(name: str) -> Failed:
    """An outcome that says whose it is."""
    return Failed(f"outcome of {name}")


async def test_a_job_goes_to_the_worker_and_its_outcome_to_the_caller(bench: Bench) -> None:
    job = bench.job("a")
    await bench.queue.submit(job)
    (lease,) = await bench.queue.lease(8)
    assert lease.job == job
    await bench.queue.resolve(lease, failed("a"))
    assert await bench.queue.result("a") == failed("a")


async def test_a_caller_may_wait_before_the_outcome_is_there(bench: Bench) -> None:
    await bench.submit("a", "b")
    waiting = {name: asyncio.create_task(bench.queue.result(name)) for name in "ab"}
    leases = await bench.queue.lease(8)
    await settle()
    for lease in reversed(leases):
        await bench.queue.resolve(lease, failed(lease.job.job_id))
    assert {name: await task for name, task in waiting.items()} == {
        "a": failed("a"),
        "b": failed("b"),
    }


async def test_the_oldest_are_leased_first_and_no_more_than_asked(bench: Bench) -> None:
    await bench.submit("a", "b", "c")
    assert [lease.job.job_id for lease in await bench.queue.lease(2)] == ["a", "b"]
    assert [lease.job.job_id for lease in await bench.queue.lease(2)] == ["c"]


async def test_a_lease_waits_for_work(bench: Bench) -> None:
    leasing = asyncio.create_task(bench.queue.lease(8))
    await settle()
    assert not leasing.done()
    await bench.submit("a")
    assert [lease.job.job_id for lease in await leasing] == ["a"]


async def test_two_workers_never_get_the_same_job(bench: Bench) -> None:
    leasing = [asyncio.create_task(bench.queue.lease(1)) for _ in range(3)]
    await settle()
    await bench.submit("a", "b", "c")
    names = [lease.job.job_id for task in leasing for lease in await task]
    assert sorted(names) == ["a", "b", "c"]


async def test_a_worker_that_stops_waiting_takes_no_job_along(bench: Bench) -> None:
    leasing = asyncio.create_task(bench.queue.lease(8))
    await settle()
    leasing.cancel()
    await bench.submit("a")
    await settle()
    assert leasing.cancelled()
    assert [lease.job.job_id for lease in await bench.queue.lease(8)] == ["a"]


async def test_a_full_queue_refuses_at_once_and_takes_again_after_a_lease(bench: Bench) -> None:
    await bench.submit("a", "b", "c", "d")
    with pytest.raises(QueueFull) as caught:
        await bench.submit("e")
    assert caught.value.retry_after_s > 0
    await bench.queue.lease(1)
    await bench.submit("e")


async def test_the_time_to_retry_follows_the_measured_rate(bench: Bench) -> None:
    # Four outcomes in eight seconds: the four that wait will take about another eight.
    await bench.submit("a", "b", "c", "d")
    for lease in await bench.queue.lease(4):
        await bench.queue.resolve(lease, failed(lease.job.job_id))
        bench.clock.advance(2.0)
    await bench.submit("e", "f", "g", "h")
    with pytest.raises(QueueFull) as caught:
        await bench.submit("i")
    assert caught.value.retry_after_s == pytest.approx(8.0)


async def test_a_cancelled_job_is_never_leased_and_frees_its_place(bench: Bench) -> None:
    await bench.submit("a", "b", "c", "d")
    await bench.queue.cancel("b")
    await bench.submit("e")
    names = [lease.job.job_id for lease in await bench.queue.lease(8)]
    assert names == ["a", "c", "d", "e"]


async def test_a_job_cancelled_while_it_runs_troubles_nobody(bench: Bench) -> None:
    await bench.submit("a", "b")
    a, b = await bench.queue.lease(8)
    await bench.queue.cancel("a")
    await bench.queue.resolve(a, failed("a"))
    await bench.queue.resolve(b, failed("b"))
    assert await bench.queue.result("b") == failed("b")


async def test_cancelling_what_is_not_known_is_harmless(bench: Bench) -> None:
    await bench.queue.cancel("never submitted")


async def test_an_expired_job_is_resolved_as_such_and_never_leased(bench: Bench) -> None:
    await bench.submit("a", deadline_in_s=1.0)
    await bench.submit("b", deadline_in_s=9.0)
    bench.clock.advance(1.0)
    assert [lease.job.job_id for lease in await bench.queue.lease(8)] == ["b"]
    assert await bench.queue.result("a") == Expired()


async def test_expired_jobs_do_not_keep_the_queue_full(bench: Bench) -> None:
    await bench.submit("a", "b", "c", "d", deadline_in_s=1.0)
    bench.clock.advance(2.0)
    await bench.submit("e")
    assert [lease.job.job_id for lease in await bench.queue.lease(8)] == ["e"]


async def test_the_first_outcome_stands(bench: Bench) -> None:
    await bench.submit("a")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve(lease, failed("a"))
    await bench.queue.resolve(lease, Expired())
    assert await bench.queue.result("a") == failed("a")


async def test_who_gives_up_waiting_does_not_spoil_the_outcome(bench: Bench) -> None:
    await bench.submit("a")
    impatient = asyncio.create_task(bench.queue.result("a"))
    await settle()
    impatient.cancel()
    await settle()
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve(lease, failed("a"))
    assert await bench.queue.result("a") == failed("a")


async def test_closing_wakes_everyone_and_refuses_the_rest(bench: Bench) -> None:
    await bench.submit("a", "b")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve(lease, failed("a"))
    waiting = asyncio.create_task(bench.queue.result("b"))
    await bench.queue.lease(1)
    leasing = asyncio.create_task(bench.queue.lease(1))
    await settle()

    await bench.queue.close()

    assert list(await leasing) == []
    assert await waiting == Abandoned()
    assert await bench.queue.result("a") == failed("a")
    with pytest.raises(NotReady):
        await bench.submit("c")
