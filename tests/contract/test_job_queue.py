"""What every JobQueue does. Another adapter joins by its factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from queue_benches import LINE_CAPACITY, MemoryBench, QueueBench, RedisBench, RedisSocketBench

from flawline.application.job import Abandoned, Expired, Failed
from flawline.core.errors import BackfillFull, LineFull, NotReady, QueueFull
from flawline.core.priority import Priority


@pytest.fixture(params=[MemoryBench, RedisBench, RedisSocketBench])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[QueueBench]:
    bench: QueueBench = request.param()
    await bench.open(request)
    yield bench
    await bench.queue.close()


@pytest.fixture(params=[MemoryBench, RedisBench])
async def bench_of_parts(request: pytest.FixtureRequest) -> AsyncIterator[QueueBench]:
    """A request may bring three frames, which are accepted together or not at all."""
    bench: QueueBench = request.param()
    bench.most_at_once = 3
    await bench.open(request)
    yield bench
    await bench.queue.close()


def failed(name: str) -> Failed:
    """An outcome that says whose it is."""
    return Failed(f"outcome of {name}")


async def test_a_job_goes_to_the_worker_and_its_outcome_to_the_caller(bench: QueueBench) -> None:
    job = bench.job("a", line="press-1", priority=Priority.BACKFILL)
    await bench.queue.submit(job)
    (lease,) = await bench.queue.lease(8)
    assert bench.same(lease.job, job)
    await bench.queue.resolve([(lease, failed("a"))])
    assert await bench.queue.result("a") == failed("a")


async def test_a_caller_may_wait_before_the_outcome_is_there(bench: QueueBench) -> None:
    await bench.submit("a", "b")
    waiting = {name: asyncio.create_task(bench.queue.result(name)) for name in "ab"}
    leases = await bench.queue.lease(8)
    await bench.settle()
    for lease in reversed(leases):
        await bench.queue.resolve([(lease, failed(lease.job.job_id))])
    assert {name: await task for name, task in waiting.items()} == {
        "a": failed("a"),
        "b": failed("b"),
    }


async def test_several_outcomes_are_saved_in_one_go_but_for_leases_that_have_ended(
    bench: QueueBench,
) -> None:
    await bench.submit("a", "b", "c")
    a, b, c = await bench.queue.lease(8)
    await bench.queue.resolve([(b, failed("b"))])
    await bench.queue.resolve([(a, failed("a")), (b, Expired()), (c, failed("c"))])
    assert [await bench.queue.result(name) for name in "abc"] == [failed(name) for name in "abc"]
    await bench.queue.resolve([])


async def test_the_oldest_are_leased_first_and_no_more_than_asked(bench: QueueBench) -> None:
    await bench.submit("a", "b", "c")
    assert [lease.job.job_id for lease in await bench.queue.lease(2)] == ["a", "b"]
    assert [lease.job.job_id for lease in await bench.queue.lease(2)] == ["c"]


async def test_a_lease_waits_for_work(bench: QueueBench) -> None:
    leasing = asyncio.create_task(bench.queue.lease(8))
    await bench.settle()
    assert not leasing.done()
    await bench.submit("a")
    assert [lease.job.job_id for lease in await leasing] == ["a"]


async def test_two_workers_never_get_the_same_job(bench: QueueBench) -> None:
    leasing = [asyncio.create_task(bench.queue.lease(1)) for _ in range(3)]
    await bench.settle()
    await bench.submit("a", "b", "c")
    names = [lease.job.job_id for task in leasing for lease in await task]
    assert sorted(names) == ["a", "b", "c"]


async def test_a_worker_that_stops_waiting_takes_no_job_along(bench: QueueBench) -> None:
    leasing = asyncio.create_task(bench.queue.lease(8))
    await bench.settle()
    leasing.cancel()
    await bench.submit("a")
    await bench.settle()
    assert leasing.cancelled()
    assert [lease.job.job_id for lease in await bench.queue.lease(8)] == ["a"]


async def test_a_full_queue_refuses_at_once_and_takes_again_after_a_lease(
    bench: QueueBench,
) -> None:
    await bench.submit("a", "b", "c", "d")
    with pytest.raises(QueueFull) as caught:
        await bench.submit("e")
    assert caught.value.retry_after_s > 0
    await bench.queue.lease(1)
    await bench.submit("e")


async def test_the_time_to_retry_follows_the_measured_rate(bench: QueueBench) -> None:
    # Four outcomes in 0.8 s: the four that wait will take about as long again.
    await bench.submit("a", "b", "c", "d")
    for lease in await bench.queue.lease(4):
        await bench.queue.resolve([(lease, failed(lease.job.job_id))])
        await bench.let_pass(0.2)
    await bench.submit("e", "f", "g", "h")
    with pytest.raises(QueueFull) as caught:
        await bench.submit("i")
    assert 0.8 <= caught.value.retry_after_s + 1e-9 < 3


async def test_a_line_has_its_share_and_leaves_room_to_others(bench: QueueBench) -> None:
    names = "abc"[:LINE_CAPACITY]
    for name in names:
        await bench.queue.submit(bench.job(name, line="greedy"))
    with pytest.raises(LineFull) as caught:
        await bench.queue.submit(bench.job("x", line="greedy"))
    assert caught.value.line == "greedy"
    assert caught.value.retry_after_s > 0
    await bench.queue.submit(bench.job("modest", line="other"))
    await bench.queue.lease(1)
    await bench.queue.submit(bench.job("y", line="greedy"))
    await bench.queue.cancel("y")
    await bench.queue.submit(bench.job("z", line="greedy"))


async def test_backfill_leaves_half_of_the_queue_and_of_a_line_to_what_is_urgent(
    bench: QueueBench,
) -> None:
    async def submit(name: str, priority: Priority, line: str) -> None:
        await bench.queue.submit(bench.job(name, line=line, priority=priority))

    await submit("old1", Priority.BACKFILL, "press-1")
    await submit("old2", Priority.BACKFILL, "press-1")
    for line in ("press-1", "press-2"):
        with pytest.raises(BackfillFull) as caught:
            await submit("old3", Priority.BACKFILL, line)
        assert caught.value.retry_after_s > 0
    await submit("new1", Priority.INLINE, "press-1")
    await submit("new2", Priority.REINSPECTION, "press-2")
    with pytest.raises(QueueFull) as full:
        await submit("new3", Priority.INLINE, "press-2")
    assert full.value.code == "queue_full"
    assert await bench.leased(3) == ["new1", "new2", "old1"]
    await submit("old3", Priority.BACKFILL, "press-1")


async def test_an_idle_queue_takes_a_whole_part_as_backfill(bench_of_parts: QueueBench) -> None:
    bench = bench_of_parts

    async def submit(name: str) -> None:
        await bench.queue.submit(bench.job(name, priority=Priority.BACKFILL))

    for name in "abc":
        await submit(name)
    with pytest.raises(BackfillFull):
        await submit("d")


async def test_the_urgent_goes_first_and_the_oldest_of_a_class(bench: QueueBench) -> None:
    for name, priority in (
        ("b1", Priority.BACKFILL),
        ("r1", Priority.REINSPECTION),
        ("i1", Priority.INLINE),
        ("i2", Priority.INLINE),
    ):
        await bench.queue.submit(bench.job(name, line=name, priority=priority))
    assert await bench.leased(8) == ["i1", "i2", "r1", "b1"]


async def test_however_much_is_urgent_the_rest_does_not_starve(bench: QueueBench) -> None:
    await bench.queue.submit(bench.job("r", line="r", priority=Priority.REINSPECTION))
    await bench.queue.submit(bench.job("b", line="b", priority=Priority.BACKFILL))
    taken: list[str] = []
    for number in range(20):
        await bench.queue.submit(bench.job(f"i{number}"))
        taken += await bench.leased(1)
    assert "r" in taken[:8]
    assert "b" in taken[:16]


async def test_a_job_that_is_handed_back_goes_to_another_worker(bench: QueueBench) -> None:
    await bench.submit("a")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.release(lease)
    (again,) = await bench.queue.lease(1)
    assert bench.same(again.job, lease.job)
    await bench.queue.resolve([(again, failed("a"))])
    assert await bench.queue.result("a") == failed("a")


async def test_what_was_handed_back_is_extended_in_vain(bench: QueueBench) -> None:
    """By who did so: what he had sent before may come after it."""
    await bench.submit("a")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.release(lease)
    await bench.queue.extend([lease])
    assert await asyncio.wait_for(bench.leased(1), 1) == ["a"]


async def test_a_worker_that_waits_is_woken_by_what_is_handed_back(bench: QueueBench) -> None:
    await bench.submit("a")
    (lease,) = await bench.queue.lease(1)
    leasing = asyncio.create_task(bench.queue.lease(1))
    await bench.settle()
    await bench.queue.release(lease)
    assert [lease.job.job_id for lease in await leasing] == ["a"]


async def test_what_is_handed_back_after_it_was_cancelled_is_gone(bench: QueueBench) -> None:
    await bench.submit("a", "b")
    a, b = await bench.queue.lease(8)
    await bench.queue.cancel("a")
    await bench.queue.release(a)
    await bench.queue.release(b)
    assert await bench.leased(8) == ["b"]


async def test_what_is_handed_back_and_counts_is_given_up_in_the_end(bench: QueueBench) -> None:
    await bench.submit("a")
    for deliveries in (1, 2, 3):
        (lease,) = await bench.queue.lease(8)
        assert lease.deliveries == deliveries
        await bench.queue.release(lease, counted=True)
    await bench.submit("b")
    assert await bench.leased(8) == ["b"]
    assert isinstance(await bench.queue.result("a"), Failed)


async def test_a_lease_that_has_ended_can_be_handed_back_or_extended_in_vain(
    bench: QueueBench,
) -> None:
    await bench.submit("a", "b")
    a, b = await bench.queue.lease(8)
    await bench.queue.extend([a, b])
    await bench.queue.resolve([(a, failed("a"))])
    await bench.queue.release(a)
    await bench.queue.extend([a, b])
    await bench.submit("c")
    assert await bench.leased(8) == ["c"]
    assert await bench.queue.result("a") == failed("a")


async def test_a_cancelled_job_is_never_leased_and_frees_its_place(bench: QueueBench) -> None:
    await bench.submit("a", "b", "c", "d")
    await bench.queue.cancel("b")
    await bench.submit("e")
    names = [lease.job.job_id for lease in await bench.queue.lease(8)]
    assert names == ["a", "c", "d", "e"]


async def test_a_job_cancelled_while_it_runs_troubles_nobody(bench: QueueBench) -> None:
    await bench.submit("a", "b")
    a, b = await bench.queue.lease(8)
    await bench.queue.cancel("a")
    await bench.queue.resolve([(a, failed("a"))])
    await bench.queue.resolve([(b, failed("b"))])
    assert await bench.queue.result("b") == failed("b")


async def test_cancelling_what_is_not_known_is_harmless(bench: QueueBench) -> None:
    await bench.queue.cancel("never submitted")


async def test_an_expired_job_is_resolved_as_such_and_never_leased(bench: QueueBench) -> None:
    await bench.submit("a", deadline_in_s=0.05)
    await bench.submit("b", deadline_in_s=9.0)
    await bench.let_pass(0.06)
    assert await bench.leased(8) == ["b"]
    assert await bench.queue.result("a") == Expired()


async def test_expired_jobs_do_not_keep_the_queue_full(bench: QueueBench) -> None:
    await bench.submit("a", "b", "c", "d", deadline_in_s=0.05)
    await bench.let_pass(0.06)
    await bench.submit("e")
    assert await bench.leased(8) == ["e"]


async def test_the_first_outcome_stands(bench: QueueBench) -> None:
    await bench.submit("a")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve([(lease, failed("a"))])
    await bench.queue.resolve([(lease, Expired())])
    assert await bench.queue.result("a") == failed("a")


async def test_who_gives_up_waiting_does_not_spoil_the_outcome(bench: QueueBench) -> None:
    await bench.submit("a")
    impatient = asyncio.create_task(bench.queue.result("a"))
    await bench.settle()
    impatient.cancel()
    await bench.settle()
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve([(lease, failed("a"))])
    assert await bench.queue.result("a") == failed("a")


async def test_closing_wakes_everyone_and_refuses_the_rest(bench: QueueBench) -> None:
    await bench.submit("a", "b")
    (lease,) = await bench.queue.lease(1)
    await bench.queue.resolve([(lease, failed("a"))])
    waiting = asyncio.create_task(bench.queue.result("b"))
    await bench.queue.lease(1)
    leasing = asyncio.create_task(bench.queue.lease(1))
    await bench.settle()

    await bench.queue.close()

    assert list(await leasing) == []
    assert await waiting == Abandoned()
    assert await bench.queue.result("a") == failed("a")
    with pytest.raises(NotReady):
        await bench.submit("c")
