"""Several frames of one part, through everything that inspects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes import settle
from pictures import DARK, numbered, quarters, truncated
from rig import Rig

from flawline.application.inspector import InspectionRequest
from flawline.application.part import inspect_part
from flawline.core.errors import BadPicture, InvalidRequest, KeyReused, QueueFull
from flawline.core.values import PartInspection, Verdict


def ask(rig: Rig, *pictures: bytes, **options: object) -> asyncio.Task[PartInspection]:
    frames = [InspectionRequest(picture, **options) for picture in pictures]
    return asyncio.create_task(inspect_part(rig.inspector, frames))


async def test_each_frame_is_inspected_and_the_gravest_verdict_is_the_parts(rig: Rig) -> None:
    part = await ask(rig, quarters(DARK), numbered(1), quarters(DARK), part_id="4711")
    assert part.verdict is Verdict.NOT_OK
    assert [frame.verdict.value for frame in part.frames] == ["OK", "NotOK", "OK"]
    assert {frame.part_id for frame in part.frames} == {"4711"}
    assert len({part.inspection_id, *(frame.inspection_id for frame in part.frames)}) == 4
    assert len(rig.telemetry.inspections) == 3


async def test_by_the_deadline_the_part_is_undefined(rig: Rig) -> None:
    rig.engine.hold()
    asking = ask(rig, quarters(DARK), numbered(1), deadline_ms=500)
    await rig.engine.started.get()
    rig.clock.advance(0.5)
    part = await asking
    assert [frame.verdict for frame in part.frames] == [Verdict.UNDEFINED] * 2
    assert part.verdict is Verdict.UNDEFINED


@asynccontextmanager
async def busy() -> AsyncIterator[Rig]:
    """A rig where what is asked next waits in the queue, and finds it empty in the end."""
    async with Rig(max_batch=1, capacity=4) as rig:
        rig.engine.hold()
        ahead = [rig.ask(numbered(n)) for n in range(2)]  # one runs, one is made ready
        await settle()
        yield rig
        await settle()
        assert rig.queue.depth == 0
        rig.engine.release()
        await asyncio.gather(*ahead)
        assert len(rig.engine.batches) == len(ahead)


async def test_a_bad_frame_is_named_and_withdraws_the_others() -> None:
    async with busy() as rig:
        with pytest.raises(BadPicture, match=r"^frames\[1\]: ") as caught:
            await ask(rig, numbered(1), b"no picture", numbered(2))
    assert caught.value.field == "frames[1]"


async def test_a_frame_that_turns_out_damaged_is_named_too(rig: Rig) -> None:
    with pytest.raises(BadPicture) as caught:
        await ask(rig, numbered(1), truncated())
    assert (caught.value.code, caught.value.field) == ("corrupt_picture", "frames[1]")


async def test_a_part_that_does_not_fit_leaves_nothing_behind() -> None:
    async with busy() as rig:
        with pytest.raises(QueueFull):
            await ask(rig, *(numbered(n) for n in range(2, 8)))


async def test_who_gives_up_withdraws_all_frames() -> None:
    async with busy() as rig:
        asking = ask(rig, numbered(2), numbered(3))
        await settle()
        assert rig.queue.depth == 2
        asking.cancel()


async def test_a_repeat_under_the_parts_key_is_not_inspected_again(rig: Rig) -> None:
    first = await ask(rig, numbered(1), numbered(2), idempotency_key="k")
    again = await ask(rig, numbered(1), numbered(2), idempotency_key="k")
    assert again.frames == first.frames
    alone = await rig.inspect(numbered(1), idempotency_key="k")
    assert alone.inspection_id != first.frames[0].inspection_id
    with pytest.raises(InvalidRequest, match="used for another picture"):
        await ask(rig, numbered(2), numbered(1), idempotency_key="k")


async def test_acceptance_is_told_once_all_frames_are_queued(rig: Rig) -> None:
    told: list[float] = []
    frames = [InspectionRequest(numbered(n), deadline_ms=700) for n in range(3)]
    await inspect_part(rig.inspector, frames, accepted=told.append)
    assert told == [rig.clock.monotonic_s() + 0.7]


@pytest.mark.parametrize(
    "others", [[numbered(1), numbered(2)], [numbered(2)], [numbered(2), numbered(1)]]
)
async def test_other_frames_under_the_key_are_refused(rig: Rig, others: list[bytes]) -> None:
    first = await ask(rig, numbered(1), idempotency_key="k")
    with pytest.raises(KeyReused):
        await ask(rig, *others, idempotency_key="k")
    again = await ask(rig, numbered(1), idempotency_key="k")
    assert again.frames == first.frames
