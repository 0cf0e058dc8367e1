"""What every AnswerMemory does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from redis_process import RedisProcess
from scripted_inspector import NOT_OK

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.application.answer import KeptAnswer
from flawline.application.ports import AnswerMemory

FIRST = KeptAnswer("f1", NOT_OK)
SECOND = KeptAnswer("f2", replace(NOT_OK, inspection_id="2" * 32))
Make = Callable[[], AnswerMemory]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes memories that have nothing in common."""
    if request.param == "memory":
        yield lambda: MemoryAnswers(600.0, SystemClock())
        return
    redis: RedisProcess = request.getfixturevalue("redis")
    queues: list[RedisQueue] = []

    def make_one() -> AnswerMemory:
        namespace = f"test-{uuid.uuid4().hex[:8]}"
        options = RedisQueueOptions(redis.url, 4, 4, namespace=namespace)
        queues.append(RedisQueue(options, SystemClock()))
        return queues[-1].answers(600.0)

    yield make_one
    for queue in queues:
        await queue.close()


async def test_the_first_answer_under_a_key_is_the_one_that_is_kept(make: Make) -> None:
    memory = make()
    assert await memory.find("k") is None
    assert await memory.keep("k", FIRST) == FIRST
    assert await memory.keep("k", SECOND) == FIRST
    assert await memory.find("k") == FIRST
    assert await memory.find("another") is None


async def test_what_is_forgotten_leaves_its_key_free(make: Make) -> None:
    memory = make()
    for key in ("a", "b", "c"):
        await memory.keep(key, FIRST)
    await memory.forget(["a", "c", "never kept"])
    await memory.forget([])
    assert [await memory.find(key) for key in ("a", "b", "c")] == [None, FIRST, None]
    assert await memory.keep("a", SECOND) == SECOND


async def test_all_apis_of_one_redis_know_it_by_one_name(redis: RedisProcess) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    options = RedisQueueOptions(redis.url, 4, 4, namespace=namespace)
    queues = [RedisQueue(options, SystemClock()) for _ in range(2)]
    one, other = (queue.answers(600.0) for queue in queues)
    assert await one.identity() == await other.identity()
    for queue in queues:
        await queue.close()


async def test_its_name_lasts_as_long_as_what_it_keeps(make: Make) -> None:
    memory, other = make(), make()
    assert await memory.identity() == await memory.identity() != await other.identity()


async def test_a_claim_is_that_of_one_until_it_ends(make: Make) -> None:
    memory = make()
    assert await memory.claim("k", 60.0) is True
    assert await memory.claim("k", 60.0) is False
    assert await memory.claim("another", 60.0) is True
    await memory.release("k")
    await memory.release("never claimed")
    assert await memory.claim("k", 60.0) is True


async def test_a_claim_of_the_dead_runs_out(make: Make) -> None:
    memory = make()
    assert await memory.claim("k", 0.05) is True
    while not await memory.claim("k", 60.0):  # noqa: ASYNC110 - nothing tells of the end of a claim
        await asyncio.sleep(0.01)


async def test_a_claim_that_is_held_lasts_and_is_never_shortened(make: Make) -> None:
    memory = make()
    assert await memory.claim("k", 0.2) is True
    await memory.hold("k", 60.0)
    await memory.hold("k", 0.01)
    await memory.hold("never claimed", 60.0)
    await asyncio.sleep(0.25)
    assert await memory.claim("k", 60.0) is False
    assert await memory.claim("never claimed", 60.0) is True


async def test_a_claim_of_one_api_holds_for_all_and_only_it_may_end_it(
    redis: RedisProcess,
) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    options = RedisQueueOptions(redis.url, 4, 4, namespace=namespace)
    queues = [RedisQueue(options, SystemClock()) for _ in range(2)]
    one, other = (queue.answers(600.0) for queue in queues)
    assert await one.claim("k", 60.0) is True
    await other.release("k")
    await other.hold("k", 600.0)
    assert await queues[0]._server.commands.pttl(one._keys.claim("k")) <= 60_000
    assert await other.claim("k", 60.0) is False
    await one.release("k")
    assert await other.claim("k", 60.0) is True
    for queue in queues:
        await queue.close()
