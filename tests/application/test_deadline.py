from __future__ import annotations

import asyncio

import pytest
from fakes import ManualClock, settle

from flawline.application.deadline import DeadlinePassed, within


async def answer() -> str:
    return "answer"


async def stubborn(log: list[str], freed: asyncio.Event) -> str:
    """Work that takes its time even when it is cancelled, and fails at that."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append("cancelled")
        await freed.wait()
        log.append("cleaned up")
        raise RuntimeError("nobody hears this") from None
    return "never"


async def test_a_result_in_time_is_handed_on_and_the_timer_taken_back() -> None:
    clock = ManualClock()
    assert await within(clock, clock.monotonic_s() + 1, answer()) == "answer"
    assert clock.open_timers == 0


async def test_an_error_in_time_is_handed_on() -> None:
    async def fail() -> None:
        raise KeyError("of the work")

    clock = ManualClock()
    with pytest.raises(KeyError):
        await within(clock, clock.monotonic_s() + 1, fail())


async def test_at_the_moment_the_work_is_cancelled_and_not_waited_for() -> None:
    clock, log, freed = ManualClock(), [], asyncio.Event()
    waiting = asyncio.create_task(within(clock, clock.monotonic_s() + 1, stubborn(log, freed)))
    await settle()
    clock.advance(0.999)
    await settle()
    assert not waiting.done()
    clock.advance(0.001)
    with pytest.raises(DeadlinePassed):
        await waiting
    await settle()
    assert log == ["cancelled"]
    freed.set()
    await settle()
    assert log == ["cancelled", "cleaned up"]


async def test_a_caller_who_is_cancelled_cancels_the_work() -> None:
    clock, log, freed = ManualClock(), [], asyncio.Event()
    waiting = asyncio.create_task(within(clock, clock.monotonic_s() + 1, stubborn(log, freed)))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    freed.set()
    await settle()
    assert log == ["cancelled", "cleaned up"]
    assert clock.open_timers == 0


async def test_work_that_just_ends_when_cancelled_is_no_trouble() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(within(clock, clock.monotonic_s(), asyncio.Event().wait()))
    await settle()
    clock.advance(0)
    with pytest.raises(DeadlinePassed):
        await waiting
    await settle()


async def test_a_result_that_comes_together_with_the_moment_is_handed_on() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(within(clock, clock.monotonic_s() + 1, answer()))
    await asyncio.sleep(0)  # the timer is set, the work not yet begun
    clock.advance(1)
    assert await waiting == "answer"
