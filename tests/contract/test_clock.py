"""What every Clock does, the machine's and the tests' own."""

from __future__ import annotations

import asyncio
from datetime import timezone

import pytest
from fakes import ManualClock

from flawline.adapters.system_clock import SystemClock


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> SystemClock | ManualClock:
    return request.param()


def let_pass(clock: SystemClock | ManualClock, seconds: float) -> None:
    """The machine's time passes by itself."""
    if isinstance(clock, ManualClock):
        clock.advance(seconds)


async def test_timers_ring_in_the_order_of_their_moments(
    clock: SystemClock | ManualClock,
) -> None:
    rung: list[str] = []
    done = asyncio.Event()
    start_s = clock.monotonic_s()
    clock.call_at(start_s + 0.03, done.set)
    clock.call_at(start_s + 0.02, lambda: rung.append("second"))
    clock.call_at(start_s + 0.01, lambda: rung.append("first"))
    clock.call_at(start_s - 5, lambda: rung.append("passed already"))
    clock.call_at(start_s + 0.015, lambda: rung.append("cancelled")).cancel()
    let_pass(clock, 0.03)
    await done.wait()
    assert rung == ["passed already", "first", "second"]
    assert clock.monotonic_s() >= start_s + 0.029


async def test_a_timer_that_rang_may_still_be_cancelled(clock: SystemClock | ManualClock) -> None:
    done = asyncio.Event()
    timer = clock.call_at(clock.monotonic_s(), done.set)
    let_pass(clock, 0)
    await done.wait()
    timer.cancel()


def test_the_time_of_day_is_utc_and_passes(clock: SystemClock | ManualClock) -> None:
    before = clock.utc_now()
    let_pass(clock, 1)
    assert before.tzinfo is timezone.utc
    assert clock.utc_now() >= before
