"""What every TicketMemory does: that of a process, and the one that apis share in Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from fakes import ManualClock
from redis_process import RedisProcess
from scripted_inspector import NOT_OK, OK

from flawline.adapters.memory_tickets import MemoryTickets
from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.application.ports import TicketMemory
from flawline.application.ticket import Finished, Pending, Refused, TicketState, Unanswered
from flawline.core.values import PartInspection, Verdict

PENDING = Pending(datetime(2026, 1, 31, 8, 15, 30, 123456, tzinfo=timezone.utc))
PART = PartInspection("ef" * 16, Verdict.NOT_OK, (OK, NOT_OK, replace(OK, part_id="SN-2")))
LIFE_S = 600.0

Make = Callable[[float], TicketMemory]
LetPass = Callable[[float], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Make, LetPass]]:
    """Makes memories that share what they keep, and lets their time pass."""
    if request.param == "memory":
        clock, made = ManualClock(), {}

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        yield lambda life_s: made.setdefault(life_s, MemoryTickets(life_s, 100, clock)), advance
        return
    redis: RedisProcess = request.getfixturevalue("redis")
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    options = RedisQueueOptions(redis.url, capacity=4, line_capacity=4, namespace=namespace)
    queue = RedisQueue(options, SystemClock())
    yield queue.tickets, asyncio.sleep
    await queue.close()


async def test_what_is_not_known_is_not_found(bench: tuple[Make, LetPass]) -> None:
    assert await bench[0](LIFE_S).find("t") is None


@pytest.mark.parametrize(
    "state",
    [
        Finished(NOT_OK),
        Finished(OK),
        Finished(PART),
        Refused("corrupt_picture", "Cut.", "frames[1]"),
        Unanswered("stopped", "Too bad."),
    ],
)
async def test_every_state_comes_back_as_it_was(
    bench: tuple[Make, LetPass], state: TicketState
) -> None:
    memory = bench[0](LIFE_S)
    await memory.expect("t", PENDING)
    assert await memory.find("t") == PENDING
    await memory.keep("t", state)
    assert await bench[0](LIFE_S).find("t") == state
    assert await memory.find("u") is None


async def test_an_expectation_never_replaces_an_answer(bench: tuple[Make, LetPass]) -> None:
    memory = bench[0](LIFE_S)
    await memory.keep("t", Finished(OK))
    await memory.expect("t", PENDING)
    assert await memory.find("t") == Finished(OK)


async def test_keys_may_hold_anything(bench: tuple[Make, LetPass]) -> None:
    memory = bench[0](LIFE_S)
    for key in ("", " ", "a\nb", "\N{SNOWMAN}", "x" * 10_000, '["c", "t"]'):
        await memory.keep(key, Unanswered("code", key))
        assert await memory.find(key) == Unanswered("code", key)


async def test_each_is_forgotten_after_its_life(bench: tuple[Make, LetPass]) -> None:
    make, let_pass = bench
    memory = make(0.2)
    await memory.expect("pending", PENDING)
    await memory.keep("kept", Finished(OK))
    await let_pass(0.3)
    assert await memory.find("pending") is None
    assert await memory.find("kept") is None


async def test_a_process_keeps_the_last_so_many() -> None:
    memory = MemoryTickets(LIFE_S, 3, ManualClock())
    for number in range(4):
        await memory.keep(str(number), Finished(OK))
    await memory.keep("1", Finished(NOT_OK))  # the latest news count
    await memory.keep("4", Finished(OK))
    kept = [key for key in "01234" if await memory.find(key) is not None]
    assert kept == ["1", "3", "4"]
