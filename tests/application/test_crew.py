"""Who of a process may work alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fakes import ManualClock

from flawline.application.crew import Crew


@dataclass(eq=False)
class Member:
    """What is in hand, and the engine."""

    idle: bool = True
    stuck: bool = False


async def test_who_was_passed_over_while_its_engine_was_stuck_asks_again() -> None:
    clock = ManualClock()
    crew = Crew(clock)
    members: list[Any] = [Member(), Member(), Member(idle=False)]
    for member in members:
        crew.join(member, member)
    first, second, third = members
    assert crew.admits(first, alone=True)
    assert not crew.admits(second)
    waiting = asyncio.create_task(crew.until_others_ended(first))
    first.stuck = True
    assert crew.admits(second, alone=True)
    first.stuck, third.idle = False, True
    for _ in range(3):
        await asyncio.sleep(0)
        clock.advance(1.0)
    assert not await asyncio.wait_for(waiting, 5)
    crew.give_up(second)
    assert crew.admits(first, alone=True)
