"""What only the queue in memory has: numbers to look at, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import ManualClock

from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.job import Expired, Job
from flawline.core.errors import QueueFull
from flawline.core.priority import Priority


def job(name: str, clock: ManualClock) -> Job:
    now_s = clock.monotonic_s()
    return Job(name, b"", "default", None, submitted_s=now_s, deadline_s=now_s + 600, line="press")


async def test_depth_and_age_are_those_of_what_waits() -> None:
    clock = ManualClock()
    queue = MemoryQueue(8, clock)

    def figures(of: Priority = Priority.INLINE) -> tuple[int, float]:
        return queue.depth_of(of), queue.oldest_age_s(of)

    assert figures() == (0, 0.0)
    await queue.submit(replace(job("old", clock), priority=Priority.BACKFILL))
    clock.advance(1.0)
    await queue.submit(job("a", clock))
    clock.advance(2.0)
    await queue.submit(job("b", clock))
    assert (figures(), figures(Priority.BACKFILL)) == ((2, 2.0), (1, 3.0))
    await queue.lease(1)
    assert (figures(), figures(Priority.BACKFILL)) == ((1, 0.0), (1, 3.0))


@pytest.mark.parametrize(
    ("elapsed_s", "retry_after_s"),
    [
        pytest.param(None, 1.0, id="nothing measured yet"),
        pytest.param(0.0, 0.1, id="as fast as can be"),
        pytest.param(7.0, 7.0, id="one in seven seconds"),
        pytest.param(500.0, 30.0, id="a worker that has all but stopped"),
    ],
)
async def test_the_time_to_retry_is_bounded(elapsed_s: float | None, retry_after_s: float) -> None:
    clock = ManualClock()
    queue = MemoryQueue(1, clock)
    if elapsed_s is not None:
        await queue.submit(job("a", clock))
        (lease,) = await queue.lease(1)
        await queue.resolve([(lease, Expired())])
        clock.advance(elapsed_s)
    await queue.submit(job("b", clock))
    with pytest.raises(QueueFull) as caught:
        await queue.submit(job("c", clock))
    assert caught.value.retry_after_s == pytest.approx(retry_after_s)


async def test_nothing_is_left_behind() -> None:
    clock = ManualClock()
    queue = MemoryQueue(8, clock)
    for name in "abc":
        await queue.submit(job(name, clock))
    a, b = await queue.lease(2)
    await queue.resolve([(a, Expired())])
    await queue.result("a")
    await queue.cancel("b")
    await queue.resolve([(b, Expired())])
    await queue.cancel("c")
    assert (len(queue._waiting), queue._waiting._of_line) == (0, {})
    assert (queue._outcomes, queue._leased) == ({}, {})
