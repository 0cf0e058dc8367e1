"""What every InspectionFeed does: here, and wherever else inspections are finished."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis_process import RedisProcess, RedisStarter
from scripted_inspector import NOT_OK

from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.redis_queue.wire import inspection_to_json
from flawline.adapters.system_clock import SystemClock
from flawline.application.ports import InspectionFeed
from flawline.application.watchers import WatchedInspection
from flawline.core.values import Inspection

MOST_UNREAD = 3
SOON_S = 20


def inspection(number: int, line: str = "press-2") -> Inspection:
    return replace(NOT_OK, inspection_id=f"{number:032}", part_id=str(number), line=line)


async def next_of(watched: AsyncIterator[WatchedInspection]) -> WatchedInspection:
    return await asyncio.wait_for(anext(watched), SOON_S)


def redis_queue(redis: RedisProcess, namespace: str) -> RedisQueue:
    return RedisQueue(
        RedisQueueOptions(url=redis.url, capacity=4, line_capacity=4, namespace=namespace),
        SystemClock(),
    )


@pytest.fixture(params=["memory", "redis"])
async def feed(request: pytest.FixtureRequest) -> AsyncIterator[InspectionFeed]:
    if request.param == "memory":
        yield MemoryFeed(MOST_UNREAD)
        return
    queue = redis_queue(request.getfixturevalue("redis"), f"test-{uuid.uuid4().hex[:8]}")
    await queue.start()
    yield queue.feed(MOST_UNREAD)
    await queue.close()


async def test_a_watcher_hears_of_each_in_order_and_whole(feed: InspectionFeed) -> None:
    async with feed.watch(frozenset()) as watched:
        for number in range(10):
            feed.publish(inspection(number))
            assert await next_of(watched) == WatchedInspection(inspection(number), missed=0)


async def test_what_was_finished_before_is_not_told(feed: InspectionFeed) -> None:
    async with feed.watch(frozenset()) as watched:
        feed.publish(inspection(1))
        await next_of(watched)
    async with feed.watch(frozenset()) as watched:
        feed.publish(inspection(2))
        assert (await next_of(watched)).inspection == inspection(2)


async def test_each_watcher_hears_of_its_lines(feed: InspectionFeed) -> None:
    async with (
        feed.watch(frozenset({"a", "b"})) as two,
        feed.watch(frozenset({"b"})) as one,
        feed.watch(frozenset()) as everything,
    ):
        for number, line in enumerate("abc"):
            feed.publish(inspection(number, line))
        assert [(await next_of(two)).inspection.line for _ in range(2)] == ["a", "b"]
        assert (await next_of(one)).inspection.line == "b"
        assert [(await next_of(everything)).inspection.line for _ in range(3)] == ["a", "b", "c"]


async def test_a_slow_watcher_misses_the_oldest_and_learns_how_many(feed: InspectionFeed) -> None:
    async with feed.watch(frozenset({"slow"})) as slow, feed.watch(frozenset()) as quick:
        for number in range(MOST_UNREAD + 2):
            feed.publish(inspection(number, "slow"))
            await next_of(quick)
        heard = [await next_of(slow) for _ in range(MOST_UNREAD)]
    assert [int(news.inspection.part_id) for news in heard] == [2, 3, 4]
    assert [news.missed for news in heard] == [2, 2, 2]


async def test_apis_of_one_redis_hear_of_each_other(redis: RedisProcess) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    queues = [redis_queue(redis, namespace) for _ in range(2)]
    here, there = (queue.feed(MOST_UNREAD) for queue in queues)
    async with here.watch(frozenset()) as watched:
        there.publish(inspection(1))
        here.publish(inspection(2))
        heard = {(await next_of(watched)).inspection.part_id for _ in range(2)}
    assert heard == {"1", "2"}
    for queue in queues:
        await queue.close()


async def test_an_api_hears_of_its_own_once(redis: RedisProcess) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    queues = [redis_queue(redis, namespace) for _ in range(2)]
    here, there = (queue.feed(10) for queue in queues)
    async with here.watch(frozenset()) as watched, there.watch(frozenset()) as elsewhere:
        here.publish(inspection(1))
        assert (await next_of(elsewhere)).inspection.part_id == "1"  # so it was sent
        there.publish(inspection(2))
        heard = [(await next_of(watched)).inspection.part_id for _ in range(2)]
    assert heard == ["1", "2"]
    for queue in queues:
        await queue.close()


async def test_what_is_finished_after_the_queue_was_left_is_heard_here(redis: RedisProcess) -> None:
    """A last outcome is found while the queue is left, and somebody waits for it."""
    queue = redis_queue(redis, f"test-{uuid.uuid4().hex[:8]}")
    feed = queue.feed(MOST_UNREAD)
    async with feed.watch(frozenset()) as watched:
        await queue.close()
        feed.publish(inspection(1))
        assert (await next_of(watched)).inspection.part_id == "1"


async def test_what_an_api_finished_just_before_its_end_is_heard(redis: RedisProcess) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    queues = [redis_queue(redis, namespace) for _ in range(2)]
    here, there = (queue.feed(MOST_UNREAD) for queue in queues)
    async with here.watch(frozenset()) as watched:
        for number in (1, 2):
            there.publish(inspection(number))
        await queues[1].close()
        heard = [(await next_of(watched)).inspection.part_id for _ in range(2)]
    assert heard == ["1", "2"]
    await queues[0].close()


async def test_what_a_full_redis_does_not_keep_is_heard_in_this_process(
    start_redis: RedisStarter,
) -> None:
    server = start_redis(maxmemory="1")
    queue = redis_queue(server, f"test-{uuid.uuid4().hex[:8]}")
    feed = queue.feed(MOST_UNREAD)
    async with feed.watch(frozenset()) as watched:
        for number in (1, 2):
            feed.publish(inspection(number))
        heard = [(await next_of(watched)).inspection.part_id for _ in range(2)]
    assert heard == ["1", "2"]
    await queue.close()


async def test_without_redis_this_process_is_heard_and_afterwards_all_again(
    start_redis: RedisStarter,
) -> None:
    server = start_redis()
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    queues = [redis_queue(server, namespace) for _ in range(2)]
    here, there = (queue.feed(1000) for queue in queues)
    async with here.watch(frozenset()) as watched:
        server.kill()
        here.publish(inspection(1))
        assert (await next_of(watched)).inspection == inspection(1)
        server.start()
        heard = asyncio.create_task(next_of(watched))
        while not heard.done():
            there.publish(inspection(2))
            await asyncio.wait({heard}, timeout=0.1)
        assert heard.result().inspection == inspection(2)
    for queue in queues:
        await queue.close()


async def test_all_is_heard_again_of_a_redis_without_its_data_whose_clock_went_back(
    start_redis: RedisStarter,
) -> None:
    server = start_redis()
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    queues = [redis_queue(server, namespace) for _ in range(2)]
    here, there = (queue.feed(1000) for queue in queues)
    client = Redis.from_url(server.url)
    async with here.watch(frozenset()) as watched:
        tomorrow = f"{(await client.time())[0] + 86_400}000-0"
        fields = {"inspection": inspection_to_json(inspection(1)), "api": "another"}
        await client.xadd(f"{namespace}:inspections", fields, id=tomorrow)
        assert (await next_of(watched)).inspection == inspection(1)
        server.kill()
        server.start()
        heard = asyncio.create_task(next_of(watched))
        for _ in range(100):
            there.publish(inspection(2))
            await asyncio.wait({heard}, timeout=0.1)
            if heard.done():
                break
        assert heard.done()
        assert heard.result().inspection == inspection(2)
    await client.aclose()
    for queue in queues:
        await queue.close()
