from __future__ import annotations

import asyncio

import pytest
from fakes import ManualClock, settle
from scripted_inspector import NOT_OK, OK

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.application.answer import KeptAnswer
from flawline.application.hasty_answers import HastyAnswers

FIRST, SECOND = KeptAnswer("f", NOT_OK), KeptAnswer("f", OK)


class Silent(MemoryAnswers):
    """A memory that can hang."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(600.0, clock)
        self.hangs = False
        self.asked = 0

    async def find(self, key: str) -> KeptAnswer | None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return await super().find(key)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> Silent:
    return Silent(clock)


@pytest.fixture
def hasty(memory: Silent, clock: ManualClock) -> HastyAnswers:
    return HastyAnswers(memory, clock, patience_s=0.25, pause_s=2.0)


async def test_it_is_the_memory_behind_it_while_that_answers(
    hasty: HastyAnswers, memory: Silent
) -> None:
    assert await hasty.find("k") is None
    assert await hasty.claim("k", 1.0) is True
    assert await hasty.claim("k", 1.0) is False
    await hasty.release("k")
    assert await hasty.claim("k", 1.0) is True
    assert await hasty.keep("k", FIRST) == FIRST
    assert await hasty.keep("k", SECOND) == FIRST
    assert await hasty.find("k") == FIRST
    assert await hasty.identity() == await memory.identity()
    await hasty.forget(["k"])
    assert await hasty.find("k") is None


async def test_one_that_hangs_is_done_without_for_a_while(
    hasty: HastyAnswers, memory: Silent, clock: ManualClock
) -> None:
    await memory.keep("k", FIRST)
    memory.hangs = True
    looking = asyncio.create_task(hasty.find("k"))
    await settle()
    assert not looking.done()
    clock.advance(0.25)
    assert await looking is None
    asked = memory.asked
    # Nobody waits for the rest.
    assert await hasty.find("k") is None
    assert await hasty.claim("k", 1.0) is True
    assert await hasty.keep("k", SECOND) == SECOND
    assert memory.asked == asked
    memory.hangs = False
    clock.advance(2.0)
    assert await hasty.find("k") == FIRST
