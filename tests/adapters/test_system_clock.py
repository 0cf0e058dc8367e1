from __future__ import annotations

import asyncio
from datetime import timezone

from flawline.adapters.system_clock import SystemClock


async def test_timers_ring_at_their_moment_and_at_once_when_it_has_passed() -> None:
    clock, rung = SystemClock(), []
    start_s = clock.monotonic_s()
    done = asyncio.Event()
    clock.call_at(start_s + 0.02, lambda: (rung.append("later"), done.set()))
    clock.call_at(start_s - 5, lambda: rung.append("passed"))
    clock.call_at(start_s + 0.01, lambda: rung.append("cancelled")).cancel()
    await done.wait()
    assert rung == ["passed", "later"]
    assert clock.monotonic_s() - start_s >= 0.019


def test_the_time_of_day_is_utc() -> None:
    assert SystemClock().utc_now().tzinfo is timezone.utc
