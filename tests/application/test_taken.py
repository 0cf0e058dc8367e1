"""Claims to waiting pictures, and batches that other threads cut."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from fakes import ManualClock, settle

from flawline.application.job import Job, Lease
from flawline.application.taken import Batch, Claim, Taken, TakenPictures
from flawline.application.traces import Trail
from flawline.core.batching import BatchPolicy
from flawline.core.priority import Priority


def taken(number: int, priority: Priority = Priority.INLINE) -> Taken:
    job = Job(
        job_id=str(number),
        picture=b"",
        recipe="default",
        min_score=None,
        submitted_s=0.0,
        deadline_s=10.0 + number,
        line="",
        priority=priority,
        traceparent=None,
        part_id=None,
    )
    return Taken(Lease(job, receipt=str(number), deliveries=1), Trail(ManualClock().monotonic_s))


def cut(pictures: TakenPictures, claim: Claim, now_s: float = 0.0) -> Batch:
    return pictures.cut(claim, now_s, lambda rows: 0.0, lambda size: 0.0)


def numbers(pictures: list[Taken]) -> list[int]:
    return [int(picture.lease.job.job_id) for picture in pictures]


async def test_what_comes_between_a_claim_and_its_turn_goes_with_it() -> None:
    pictures = TakenPictures(BatchPolicy(8))
    pictures.put(taken(1))
    claim = await pictures.claim()
    pictures.put(taken(2))
    assert numbers(cut(pictures, claim).run) == [1, 2]
    assert pictures.room == 8


async def test_there_are_no_more_claims_than_pictures() -> None:
    pictures = TakenPictures(BatchPolicy(8, parallel=2))
    pictures.put(taken(1))
    first = await pictures.claim()
    second = asyncio.create_task(pictures.claim())
    await settle()
    assert not second.done()
    pictures.put(taken(2))
    assert numbers(cut(pictures, await second).run) == [1]
    assert numbers(cut(pictures, first).run) == [2]


async def test_what_was_claimed_in_vain_is_for_others() -> None:
    pictures = TakenPictures(BatchPolicy(8))
    pictures.put(taken(1))
    claim = await pictures.claim()
    other = asyncio.create_task(pictures.claim())
    await settle()
    pictures.give_up(claim)
    assert cut(pictures, claim) == Batch([], [])
    assert numbers(cut(pictures, await other).run) == [1]


async def test_a_claim_takes_nothing_twice_and_tells_what_is_too_late() -> None:
    pictures = TakenPictures(BatchPolicy(8))
    for number in (1, 2):
        pictures.put(taken(number))
    claim = await pictures.claim()
    batch = cut(pictures, claim, now_s=11.5)
    assert (numbers(batch.run), numbers(batch.expired)) == ([2], [1])
    pictures.put(taken(3))
    assert cut(pictures, claim) == Batch([], [])
    assert numbers(pictures.take_all()) == [3]


async def test_less_urgent_ones_are_left_out_only_where_that_saves_one() -> None:
    """A run takes as many seconds as it has pictures; number n has 10 + n seconds."""

    async def runs(inline: range, old: range, now_s: float) -> tuple[list[int], list[int]]:
        pictures = TakenPictures(BatchPolicy(8))
        for number in inline:
            pictures.put(taken(number))
        for number in old:
            pictures.put(taken(number, Priority.BACKFILL))
        claim = await pictures.claim()
        batch = pictures.cut(claim, now_s, float, lambda size: 0.0)
        return numbers(batch.run), numbers(batch.expired)

    assert await runs(range(1), range(50, 55), 8.0) == ([0], [])
    assert await runs(range(2), range(50, 55), 8.5) == ([1], [0])
    assert await runs(range(8), range(50, 51), 2.0) == ([*range(1, 8), 50], [0])


async def test_old_ones_that_are_left_out_go_once_their_deadline_has_passed() -> None:
    pictures = TakenPictures(BatchPolicy(8))
    for number in range(7):
        pictures.put(taken(number, Priority.BACKFILL))
    pictures.put(taken(8))
    batch = pictures.cut(await pictures.claim(), 12.5, float, lambda size: 0.0)
    assert (numbers(batch.run), numbers(batch.expired)) == ([8], [0, 1, 2])
    assert numbers(pictures.take_all()) == [3, 4, 5, 6]


async def test_a_frame_of_more_tiles_than_its_share_is_late_for_what_it_takes_alone() -> None:
    for left_s, late in ((5.0, True), (7.0, False)):
        pictures = TakenPictures(BatchPolicy(8, parallel=2))
        pictures.put(replace(taken(0), rows=6))
        batch = pictures.cut(await pictures.claim(), 10.0 - left_s, float, lambda size: 0.0)
        assert bool(batch.expired) is late


async def test_who_waits_for_room_is_told_by_another_thread() -> None:
    pictures = TakenPictures(BatchPolicy(2))
    for number in (1, 2):
        pictures.put(taken(number))
    claim = await pictures.claim()
    room = asyncio.create_task(pictures.until_room())
    await settle()
    assert not room.done()
    with ThreadPoolExecutor(1) as thread:
        batch = await asyncio.wrap_future(thread.submit(cut, pictures, claim))
    assert numbers(batch.run) == [1, 2]
    assert await asyncio.wait_for(room, 5) == 2
