from __future__ import annotations

import asyncio

import numpy as np
import pytest
from fakes import FakeEngine, ManualClock, settle

from flawline.application.ports import NothingToRun
from flawline.application.shared_engine import SharedEngine


def images(count: int) -> np.ndarray:
    return np.zeros((count, 1, 64, 64), np.uint8)


async def test_calls_have_their_turns_in_the_order_of_asking() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock())
    engine.hold()
    calls = [asyncio.create_task(shared.infer(images(count))) for count in (3, 1, 2)]
    await settle()
    assert engine.sizes == [3]
    engine.release()
    outputs = await asyncio.gather(*calls)
    assert engine.sizes == [3, 1, 2]
    assert [len(output.scores) for output in outputs] == [3, 1, 2]


async def test_a_failure_ends_the_turn() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock())
    engine.fails_on = lambda image: True
    with pytest.raises(RuntimeError):
        await shared.infer(images(1))
    engine.fails_on = lambda image: False
    await shared.infer(images(2))


async def test_who_gives_up_while_waiting_takes_no_turn() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock())
    engine.hold()
    first, second, third = (asyncio.create_task(shared.infer(images(n))) for n in (1, 2, 3))
    await settle()
    second.cancel()
    await settle()
    engine.release()
    await asyncio.gather(first, third)
    assert second.cancelled()
    assert engine.sizes == [1, 3]


async def test_who_gives_up_inside_leaves_the_engine_to_end() -> None:
    engine, clock = FakeEngine(), ManualClock()
    shared = SharedEngine(engine, clock)
    ran: list[tuple[int, float]] = []
    counted = shared.counted(lambda size, seconds: ran.append((size, seconds)))
    engine.hold()
    gone = asyncio.create_task(counted.infer(images(2)))
    waiting = asyncio.create_task(counted.infer(images(1)))
    await settle()
    gone.cancel()
    await settle()
    assert engine.sizes == [2]
    clock.advance(0.5)
    engine.release()
    await waiting
    assert engine.sizes == [2, 1]
    assert ran == [(2, 0.5), (1, 0.0)]


async def test_as_many_are_inside_as_the_engine_takes() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock(), parallel=2)
    engine.hold()
    calls = [asyncio.create_task(shared.infer(images(count))) for count in (3, 1, 2, 4)]
    await settle()
    assert engine.sizes == [3, 1]
    calls[2].cancel()
    engine.release()
    await asyncio.gather(calls[0], calls[1], calls[3])
    assert engine.sizes == [3, 1, 4]


async def test_a_turn_that_is_given_to_who_just_gave_up_goes_to_the_next() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock())
    engine.hold()
    first, second, third = (asyncio.create_task(shared.infer(images(n))) for n in (1, 2, 3))
    await settle()
    engine.release()
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.gather(first, third)
    assert second.cancelled() or len(second.result().scores) == 2
    await asyncio.wait_for(shared.infer(images(4)), 5)


async def test_a_batch_that_turns_out_empty_ends_the_turn_and_is_not_counted() -> None:
    engine = FakeEngine()
    shared = SharedEngine(engine, ManualClock())
    ran: list[tuple[int, float]] = []
    counted = shared.counted(lambda size, seconds: ran.append((size, seconds)))

    def empty() -> np.ndarray:
        raise NothingToRun

    with pytest.raises(NothingToRun):
        await counted.run(empty, len)
    assert await counted.run(lambda: images(2), lambda output: len(output.scores)) == 2
    assert ran == [(2, 0.0)]
