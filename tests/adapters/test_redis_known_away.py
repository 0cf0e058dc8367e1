"""What is kept in Redis beside the queue, once the server is known to hang: it is not asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from redis_process import RedisStarter
from scripted_inspector import NOT_OK as INSPECTION

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.redis_queue.connection import KnownAway
from flawline.adapters.system_clock import SystemClock
from flawline.application.answer import KeptAnswer
from flawline.application.ticket import Finished, Pending
from flawline.core.errors import NotReady

TIMEOUT_S = 0.5
PENDING = Pending(datetime(2026, 1, 31, tzinfo=timezone.utc))


@pytest.fixture
async def hanging(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[RedisQueue]:
    """Its server answered once, hangs since then, and that was noticed."""
    server = start_redis()
    queue = RedisQueue(
        RedisQueueOptions(server.url, 8, 8, command_timeout_s=TIMEOUT_S), SystemClock()
    )
    await queue.start()
    assert queue.reachable
    server.freeze()
    while queue.reachable:  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0.01)
    caplog.clear()
    yield queue
    server.thaw()
    await queue.close()


async def test_nobody_waits_for_answers_under_keys(
    hanging: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    answers, answer = hanging.answers(60.0), KeptAnswer("f", INSPECTION)
    assert await answers.find("k") is None
    assert await answers.claim("k", 1.0) is True
    assert await answers.keep("k", answer) == answer
    await answers.release("k")
    await answers.forget(["k"])
    assert await answers.identity() != await answers.identity()
    # Each question would have ended in a warning, and have cost a caller his deadline before.
    assert caplog.text == ""


async def test_nobody_waits_for_tickets(
    hanging: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    tickets = hanging.tickets(60.0)
    await tickets.expect("t", PENDING)
    await tickets.keep("t", Finished(INSPECTION))
    assert caplog.text == ""
    with pytest.raises(NotReady, match="queue_unavailable") as refused:
        await tickets.find("t")
    assert isinstance(refused.value.__cause__, KnownAway)  # not an answer that failed to come


async def test_watchers_here_hear_of_this_process_without_delay(hanging: RedisQueue) -> None:
    feed, count = hanging.feed(64), 40
    loop = asyncio.get_running_loop()
    async with feed.watch(frozenset()) as watched:
        began_s = loop.time()
        for number in range(count):
            feed.publish(replace(INSPECTION, part_id=str(number)))
        heard = [(await anext(watched)).inspection.part_id for _ in range(count)]
    assert heard == [str(number) for number in range(count)]
    assert loop.time() - began_s < count * TIMEOUT_S / 2
