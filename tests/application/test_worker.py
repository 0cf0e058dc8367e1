from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fakes import InlineExecutor, ManualClock, settle
from numpy.typing import NDArray
from pictures import DARK, encoded, expected_score, numbered, quarters, truncated
from rig import STALL_LIMIT_S, Rig

from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.batch_run import BatchRun
from flawline.application.crew import Crew
from flawline.application.inspector import Readiness
from flawline.application.job import Expired, Lease
from flawline.core.errors import BadPicture, NotReady
from flawline.core.tiling import Tiling
from flawline.core.values import Inspection, RawOutput, Verdict
from flawspec.decoding import DecodeLimits, decode_grey

POISON = quarters((255, 255, 255, 255))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pictures that were decoded, in their order."""
    pictures: list[bytes] = []

    def noting(picture: bytes, limits: DecodeLimits) -> NDArray[np.uint8]:
        pictures.append(picture)
        return decode_grey(picture, limits)

    monkeypatch.setattr("flawline.core.pipeline.decode_grey", noting)
    return pictures


def poisonous(image: NDArray[np.uint8]) -> bool:
    return int(image.min()) == 255


async def test_a_lone_picture_runs_at_once(rig: Rig) -> None:
    # Time stands still, so any window to wait in would hang this test.
    assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK
    assert rig.engine.sizes == [1]


async def test_a_batch_that_was_run_is_not_kept_until_the_next(rig: Rig) -> None:
    # It holds the pictures as they came, of up to 20 MB each.
    before = _held()
    await rig.inspect(quarters(DARK))
    await settle()
    assert _held().keys() <= before.keys()


def _held() -> dict[int, object]:
    """Batches and leases that there are in this process, by id: other tests may have left some."""
    gc.collect()
    return {id(one): one for one in gc.get_objects() if type(one) in (BatchRun, Lease)}


async def test_a_batch_is_what_piled_up_while_the_engine_was_busy(rig: Rig) -> None:
    rig.engine.hold()
    asking = [rig.ask(numbered(n)) for n in range(1)]
    await rig.engine.started.get()
    asking += [rig.ask(numbered(n)) for n in range(1, 21)]
    await settle()
    rig.engine.release()
    answers = await asyncio.gather(*asking)
    assert rig.engine.sizes == [1, 8, 8, 4]
    assert rig.telemetry.batch_sizes == [1, 8, 8, 4]
    assert rig.telemetry.batch_cuts == ["idle", "full", "full", "idle"]
    for number, inspection in enumerate(answers):
        found = inspection.detections[0].score
        assert found == pytest.approx(expected_score(number), abs=1e-4)


async def one_that_takes(seconds: float, rig: Rig, number: int) -> None:
    rig.engine.hold()
    asked = rig.ask(numbered(number), deadline_ms=60_000)
    await rig.engine.started.get()
    rig.clock.advance(seconds)
    rig.engine.release()
    await asked


async def test_a_busy_worker_lets_others_take_first_for_half_the_time_of_a_picture() -> None:
    async with Rig(shared=True) as rig:
        for number in range(8):
            await one_that_takes(1.0, rig, number)
        rig.engine.hold()
        asking = [rig.ask(numbered(8), deadline_ms=60_000)]
        await rig.engine.started.get()
        asking += [rig.ask(numbered(n), deadline_ms=60_000) for n in (9, 10)]
        await settle()
        rig.clock.advance(0.4)
        await settle()
        assert rig.queue.depth == 2
        rig.clock.advance(0.2)
        await settle()
        assert rig.queue.depth == 0
        asking += [rig.ask(numbered(11), deadline_ms=60_000)]
        await settle()
        assert rig.queue.depth == 1
        rig.engine.release()
        await asyncio.gather(*asking)
    assert rig.engine.sizes[8:] == [1, 2, 1]


async def test_a_worker_whose_engine_ran_out_of_work_takes_at_once() -> None:
    async with Rig(shared=True, parallel=2) as rig:
        rig.engine.take_turns(2)
        for number in range(8):
            await one_that_takes(1.0, rig, number)
        rig.engine.hold()
        asking = []
        for number in (8, 9):  # one thread is free: no time passes
            asking.append(rig.ask(numbered(number), deadline_ms=60_000))
            await rig.engine.started.get()
        asking.append(rig.ask(numbered(10), deadline_ms=60_000))
        await settle()
        assert rig.queue.depth == 1
        rig.engine.release()
        await asyncio.gather(*asking)
    assert rig.engine.sizes[8:] == [1, 1, 1]


def wide(tiles: int, bright: int) -> bytes:
    """A frame of so many tiles of 64 px side by side, of which one is bright in its first quarter."""
    grey = np.zeros((64, 64 * tiles), dtype=np.uint8)
    grey[:32, 64 * bright : 64 * bright + 32] = 200
    return encoded(grey)


async def test_frames_in_tiles_share_batches_with_whole_ones_and_with_bad_ones() -> None:
    async with Rig(tiling=Tiling(64, 64, 0.0)) as rig:
        rig.engine.hold()
        first = rig.ask(numbered(0))
        await rig.engine.started.get()
        asking = [
            rig.ask(numbered(1)),
            rig.ask(wide(3, 2)),
            rig.ask(truncated()),
            rig.ask(numbered(2)),
            rig.ask(wide(5, 1)),
            rig.ask(wide(12, 11)),
        ]
        await settle()
        rig.engine.release()
        await first
        answers = await asyncio.gather(*asking, return_exceptions=True)
    assert rig.engine.sizes == [1, 1 + 3 + 1, 5, 12]
    assert rig.telemetry.batch_sizes == [1, 3, 1, 1]  # frames
    one, three, bad, other, five, twelve = answers
    assert isinstance(bad, BadPicture)
    for answer, number in ((one, 1), (other, 2)):
        assert isinstance(answer, Inspection)
        assert answer.detections[0].score == pytest.approx(expected_score(number), abs=1e-4)
    for answer, bright in ((three, 2), (five, 1), (twelve, 11)):
        assert isinstance(answer, Inspection)
        assert answer.verdict is Verdict.NOT_OK
        scratch = answer.detections[0]
        assert scratch.score == pytest.approx(200 / 255, abs=1e-3)
        assert (scratch.box.x_min, scratch.box.y_min) == (64 * bright + 2, 2)


async def test_a_picture_is_not_late_for_what_frames_in_many_tiles_take() -> None:
    async with Rig(tiling=Tiling(64, 64, 0.0)) as rig:
        for number in range(12):  # each run of 20 tiles takes a second, others no time at all
            large = number % 3 == 0
            rig.engine.hold()
            asked = rig.ask(wide(20, 0) if large else numbered(number), deadline_ms=5000)
            await rig.engine.started.get()
            rig.clock.advance(1.0 if large else 0.0)
            rig.engine.release()
            await asked
        assert (await rig.inspect(numbered(5), deadline_ms=500)).verdict is Verdict.NOT_OK
        late = await rig.inspect(wide(20, 0), deadline_ms=500)
        assert late.verdict is Verdict.UNDEFINED
        assert rig.engine.sizes.count(20) == 4


async def test_a_lone_picture_is_not_late_for_what_full_batches_take() -> None:
    async with Rig() as rig:
        for _ in range(4):  # a batch of eight takes 0.8 s, a lone picture no time at all
            rig.engine.hold()
            asking = [rig.ask(numbered(0), deadline_ms=5000)]
            await rig.engine.started.get()
            asking += [rig.ask(numbered(n), deadline_ms=5000) for n in range(1, 9)]
            await settle()
            rig.engine.hold_next()
            await rig.engine.started.get()
            rig.clock.advance(0.8)
            rig.engine.release()
            await asyncio.gather(*asking)
        assert rig.engine.sizes == [1, 8] * 4
        assert (await rig.inspect(numbered(9), deadline_ms=500)).verdict is Verdict.NOT_OK
        together = await asyncio.gather(*(rig.ask(numbered(n), deadline_ms=500) for n in range(8)))
    assert {answer.verdict for answer in together} == {Verdict.UNDEFINED}
    assert rig.engine.sizes[8:] == [1]


async def test_a_part_at_the_gate_is_not_late_for_old_pictures_that_would_go_with_it() -> None:
    async with Rig() as rig:
        old = {"deadline_ms": 60_000, "priority": "backfill"}
        for _ in range(8):  # a batch of eight takes 0.8 s
            rig.engine.hold()
            asking = [rig.ask(numbered(n), **old) for n in range(8)]
            await rig.engine.started.get()
            rig.clock.advance(0.8)
            rig.engine.release()
            await asyncio.gather(*asking)
        rig.engine.hold()
        asking = [rig.ask(numbered(0), **old)]
        await rig.engine.started.get()
        asking += [rig.ask(numbered(n), **old) for n in range(1, 8)]
        hurried = rig.ask(numbered(8), deadline_ms=500)
        hopeless = rig.ask(numbered(9), deadline_ms=100)
        await settle()
        rig.clock.advance(0.2)
        rig.engine.release()
        assert (await hurried).verdict is Verdict.NOT_OK
        assert (await hopeless).verdict is Verdict.UNDEFINED
        answers = await asyncio.gather(*asking)
    assert {answer.verdict for answer in answers} <= {Verdict.OK, Verdict.NOT_OK}
    assert rig.engine.sizes[8:] == [1, 1, 7]


async def test_a_frame_in_tiles_that_the_engine_fails_on_costs_no_other() -> None:
    async with Rig(tiling=Tiling(64, 64, 0.0)) as rig:
        rig.engine.fails_on = poisonous
        rig.engine.hold()
        first = rig.ask(numbered(0))
        await rig.engine.started.get()
        poisoned = encoded(np.full((64, 192), 255, dtype=np.uint8))
        asking = [rig.ask(wide(3, 1)), rig.ask(poisoned), rig.ask(numbered(2))]
        await settle()
        rig.engine.release()
        await first
        good, poison, other = await asyncio.gather(*asking)
    assert good.detections[0].box.x_min == 66
    assert poison.verdict is Verdict.UNDEFINED
    assert other.detections[0].score == pytest.approx(expected_score(2), abs=1e-4)


async def test_a_frame_of_too_many_tiles_is_refused() -> None:
    async with Rig(tiling=Tiling(8, 8, 0.0)) as rig:
        with pytest.raises(BadPicture, match="cut into 512 tiles of 8 x 8"):
            await rig.inspect(wide(8, 0))


async def test_batches_run_side_by_side_and_each_picture_gets_its_own_answer() -> None:
    async with Rig(parallel=2) as rig:
        rig.engine.hold()
        asking = [rig.ask(numbered(n)) for n in range(2)]
        await settle()
        assert rig.engine.sizes == [1, 1]
        asking += [rig.ask(numbered(n)) for n in range(2, 12)]
        await settle()
        assert rig.engine.sizes == [1, 1]  # no third one
        rig.engine.release()
        answers = await asyncio.gather(*asking)
        assert rig.engine.sizes[2:4] == [4, 2]
        for number, inspection in enumerate(answers):
            found = inspection.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)


async def test_one_stuck_batch_shows_though_others_run_beside_it() -> None:
    async with Rig(parallel=2) as rig:
        rig.engine.hold()
        stuck = rig.ask(numbered(0), deadline_ms=60_000)
        await rig.engine.started.get()
        rig.clock.advance(STALL_LIMIT_S - 1)
        beside = rig.ask(numbered(1), deadline_ms=60_000)
        await rig.engine.started.get()
        assert rig.worker.fault() is None
        rig.clock.advance(1.1)
        assert rig.worker.fault() == "engine_stuck"
        rig.engine.release()
        await asyncio.gather(stuck, beside)
        assert rig.worker.fault() is None


async def test_a_batch_that_waits_for_its_turn_is_not_stuck() -> None:
    async with Rig(parallel=2, batches=3) as rig:
        rig.engine.take_turns(1)
        rig.engine.hold()
        asking = [rig.ask(numbered(0), deadline_ms=60_000)]
        await rig.engine.started.get()
        asking += [rig.ask(numbered(number), deadline_ms=60_000) for number in (1, 2)]
        await settle()
        for number in (0, 1):
            rig.clock.advance(STALL_LIMIT_S - 1)
            assert rig.worker.engine_busy_s == STALL_LIMIT_S - 1
            rig.engine.hold_next()
            await asking[number]
            await settle()
        assert rig.worker.engine_busy_s == 0.0  # the third is just taken up
        rig.engine.release()
        await asking[2]
        assert rig.engine.sizes == [1, 1, 1]


async def test_an_engine_that_takes_up_nothing_is_stuck_in_the_end() -> None:
    """As where another user of it hangs in all of its threads."""
    async with Rig(batches=2) as rig:
        rig.engine.take_turns(1)
        first = await rig.inspect(numbered(0))
        assert first.verdict is Verdict.NOT_OK
        rig.clock.advance(100.0)
        rig.engine.take_turns(0)
        asking = rig.ask(numbered(1), deadline_ms=60_000)
        await settle()
        rig.clock.advance(STALL_LIMIT_S - 0.1)
        assert rig.worker.fault() is None
        rig.clock.advance(0.2)
        assert rig.worker.fault() == "engine_stuck"
        asking.cancel()


async def test_what_was_too_late_is_told_though_the_others_cannot_be_prepared() -> None:
    spread = InlineExecutor()
    async with Rig(spread=spread, batches=2) as rig:
        rig.engine.take_turns(1)
        rig.engine.hold()
        asking = [rig.ask(numbered(0), deadline_ms=60_000)]
        await rig.engine.started.get()
        asking += [rig.ask(numbered(number), deadline_ms=60_000) for number in (1, 2)]
        late = rig.ask(numbered(3), deadline_ms=1000)
        await settle()
        rig.clock.advance(4.0)
        spread.broken = RuntimeError("can't start new thread")
        rig.engine.release()
        assert [(await task).verdict for task in asking] == [Verdict.NOT_OK] + [
            Verdict.UNDEFINED
        ] * 2
        assert (await late).verdict is Verdict.UNDEFINED
        await settle()
        assert rig.worker.jobs_in_hand == 0
        assert Expired() in rig.telemetry.outcomes
        # what failed took no time, however long it had waited for its turn
        failed_s = [
            lasted_s
            for lasted_s, failed in zip(
                rig.telemetry.engine_calls_s, rig.telemetry.engine_calls, strict=True
            )
            if failed
        ]
        assert failed_s == [0.0]


async def test_batches_side_by_side_find_an_engine_failing_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Rig(parallel=2) as rig:
        rig.engine.hold()
        asking = [rig.ask(numbered(n), deadline_ms=5000) for n in range(6)]
        await settle()
        rig.engine.fails_on = lambda image: True
        rig.engine.release()
        await settle()
        assert rig.worker.fault() == "engine_failing"
        assert rig.queue.depth == 6
        rig.engine.fails_on = lambda image: False
        rig.clock.advance(1.0)
        answers = await asyncio.gather(*asking)
        for number, inspection in enumerate(answers):
            found = inspection.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
        assert rig.worker.fault() is None
        assert caplog.text.count("engine_failing") == 1
        assert caplog.text.count("engine_works") == 1


async def test_no_more_than_one_batch_is_taken_ahead_and_none_of_it_is_decoded(
    rig: Rig, decoded: list[bytes]
) -> None:
    rig.engine.hold()
    asking = [rig.ask(numbered(0))]
    await rig.engine.started.get()
    asking += [rig.ask(numbered(n)) for n in range(1, 12)]
    await settle()
    assert rig.queue.depth == 3
    assert decoded == [numbered(0)]
    rig.engine.release()
    await asyncio.gather(*asking)
    assert sorted(decoded) == sorted(numbered(n) for n in range(12))


async def test_a_batch_that_waits_for_its_turn_takes_what_comes_meanwhile() -> None:
    async with Rig(batches=2) as rig:
        rig.engine.take_turns(1)
        rig.engine.hold()
        asking = [rig.ask(numbered(0), deadline_ms=60_000)]
        await rig.engine.started.get()
        for number in (1, 2, 3):
            asking.append(rig.ask(numbered(number), deadline_ms=60_000))
            await settle()
        rig.engine.release()
        for number, inspection in enumerate(await asyncio.gather(*asking)):
            found = inspection.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
        assert rig.engine.sizes == [1, 3]


async def test_what_was_handed_back_is_not_run_by_a_batch_that_waited_for_its_turn() -> None:
    async with Rig(batches=2) as rig:
        rig.engine.take_turns(1)
        rig.engine.hold()
        asking = [rig.ask(numbered(0), deadline_ms=60_000)]
        await rig.engine.started.get()
        asking += [rig.ask(numbered(number), deadline_ms=60_000) for number in (1, 2)]
        await settle()
        await rig.worker.stop()
        assert rig.queue.depth == 3
        rig.engine.release()
        await settle()
        assert rig.engine.sizes == [1]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_the_pictures_of_a_batch_may_be_prepared_side_by_side() -> None:
    spread = InlineExecutor()
    async with Rig(spread=spread) as rig:
        rig.engine.hold()
        first = rig.ask(numbered(0))
        await rig.engine.started.get()
        pictures = {1: numbered(1), 2: truncated(), 3: numbered(3), 4: numbered(4)}
        asking = {n: rig.ask(picture) for n, picture in pictures.items()}
        await settle()
        assert spread.calls == 0  # the first was alone
        rig.engine.release()
        await first
        with pytest.raises(BadPicture):
            await asking.pop(2)
        for number, task in asking.items():
            found = (await task).detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
        assert spread.calls == 4
        assert rig.engine.sizes == [1, 3]


async def test_threads_that_prepare_side_by_side_mix_nothing_up() -> None:
    with ThreadPoolExecutor(4) as pool:
        async with Rig(spread=pool) as rig:
            rig.engine.fails_on = poisonous
            rig.engine.hold()
            first = rig.ask(numbered(0))
            await rig.engine.started.get()
            pictures = [numbered(1), truncated(), POISON, numbered(2), truncated(), numbered(3)]
            asking = [rig.ask(picture, deadline_ms=60_000) for picture in pictures]
            await settle()
            rig.engine.release()
            answers = await asyncio.gather(first, *asking, return_exceptions=True)
    assert [type(answer) for answer in answers].count(BadPicture) == 2
    inspections = [answer for answer in answers if isinstance(answer, Inspection)]
    assert [i.verdict for i in inspections].count(Verdict.UNDEFINED) == 1
    judged = [i for i in inspections if i.verdict is not Verdict.UNDEFINED]
    for number, inspection in enumerate(judged):
        found = inspection.detections[0].score
        assert found == pytest.approx(expected_score(number), abs=1e-4)


async def test_what_is_not_to_be_run_does_not_wait_for_what_is(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(0), deadline_ms=60_000)
    await rig.engine.started.get()
    good, damaged = rig.ask(numbered(1), deadline_ms=60_000), rig.ask(truncated())
    await settle()
    rig.engine.hold_next()
    await first
    await rig.engine.started.get()
    with pytest.raises(BadPicture):
        await damaged
    assert not good.done()
    rig.engine.release()
    assert (await good).detections[0].score == pytest.approx(expected_score(1), abs=1e-4)


async def test_large_pictures_that_take_long_to_decode_cost_small_ones_no_deadline(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    large, small = encoded(noise), numbered(1)
    assert len(large) > 50 * len(small)

    def slow(picture: bytes, limits: DecodeLimits) -> NDArray[np.uint8]:
        rig.clock.jump(0.3 * len(picture) / len(large))
        return decode_grey(picture, limits)

    monkeypatch.setattr("flawline.core.pipeline.decode_grey", slow)
    for _ in range(10):
        await rig.inspect(large, deadline_ms=10_000)
    assert (await rig.inspect(small, deadline_ms=200)).verdict is Verdict.NOT_OK
    # but a large one that cannot even be decoded in time is not begun
    run = len(rig.engine.sizes)
    hopeless = rig.ask(large, deadline_ms=200)
    await settle()
    assert len(rig.engine.sizes) == run
    assert (await hopeless).reasons[0].code == "deadline"


async def test_small_pictures_that_take_long_for_their_size_cost_large_ones_no_deadline(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)

    def slow(picture: bytes, limits: DecodeLimits) -> NDArray[np.uint8]:
        rig.clock.jump(0.02)
        return decode_grey(picture, limits)

    monkeypatch.setattr("flawline.core.pipeline.decode_grey", slow)
    for number in range(10):
        await rig.inspect(numbered(number))
    answer = await rig.inspect(encoded(noise), deadline_ms=500)
    assert answer.verdict is not Verdict.UNDEFINED


async def test_a_batch_of_nothing_but_damaged_pictures_is_not_run(rig: Rig) -> None:
    with pytest.raises(BadPicture):
        await rig.inspect(truncated())
    assert rig.engine.sizes == []
    assert rig.telemetry.batch_sizes == []
    assert rig.telemetry.engine_calls == []
    assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


async def test_an_engine_that_takes_no_call_at_all_costs_nobody_his_picture(rig: Rig) -> None:
    rig.engine.closed = True
    asking = [rig.ask(numbered(n), deadline_ms=60_000) for n in range(3)]
    await settle()
    assert rig.worker.fault() == "engine_failing"
    assert rig.queue.depth == 3
    rig.engine.closed = False
    rig.engine.hold()
    rig.clock.advance(1.0)
    await rig.engine.started.get()
    rig.clock.advance(STALL_LIMIT_S + 1)
    assert rig.worker.fault() == "engine_failing"  # not stuck, by turns, as long as it is tried
    rig.engine.release()
    for number, inspection in enumerate(await asyncio.gather(*asking)):
        found = inspection.detections[0].score
        assert found == pytest.approx(expected_score(number), abs=1e-4)


async def test_the_earliest_deadline_goes_first(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    patient = rig.ask(quarters((10, 0, 0, 0)), deadline_ms=900)
    await settle()
    urgent = rig.ask(quarters((20, 0, 0, 0)), deadline_ms=100)
    await settle()
    rig.engine.release()
    await asyncio.gather(first, patient, urgent)
    assert [int(image.max()) for image in rig.engine.batches[1]] == [20, 10]


async def test_a_damaged_picture_never_gets_into_a_batch(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    before, damaged, after = rig.ask(numbered(1)), rig.ask(truncated()), rig.ask(numbered(2))
    await settle()
    rig.engine.release()
    with pytest.raises(BadPicture) as caught:
        await damaged
    assert caught.value.code == "corrupt_picture"
    assert (await before).detections[0].score == pytest.approx(expected_score(1), abs=1e-4)
    assert (await after).detections[0].score == pytest.approx(expected_score(2), abs=1e-4)
    assert (await first).verdict is Verdict.OK
    assert rig.engine.sizes == [1, 2]


@pytest.mark.parametrize("poisoned", [{0}, {7}, {3}, {2, 3}, {0, 5, 6}, set(range(8))])
async def test_a_failing_batch_costs_nobody_but_the_culprits(
    rig: Rig, poisoned: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    rig.engine.fails_on = poisonous
    rig.engine.hold()
    first = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    asking = [rig.ask(POISON if n in poisoned else numbered(n)) for n in range(8)]
    await settle()
    with caplog.at_level(logging.ERROR):
        rig.engine.release()
        answers = await asyncio.gather(*asking)
    assert rig.telemetry.batch_sizes == [1, 8]
    for number, inspection in enumerate(answers):
        if number in poisoned:
            assert inspection.verdict is Verdict.UNDEFINED
            (reason,) = inspection.reasons
            assert reason.code == "processing_failed"
            assert "secret" not in reason.detail
            assert reason.detail.split()[-1].rstrip(".") in caplog.text
        else:
            found = inspection.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
    assert (await first).verdict is Verdict.OK
    assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


def no_numbers(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy, output.scores * np.float32(np.nan))


def a_row_short(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy[1:], output.scores[1:])


@pytest.mark.parametrize("distortion", [no_numbers, a_row_short])
async def test_an_unusable_output_is_never_taken_for_a_clean_part(
    rig: Rig, distortion: Callable[[RawOutput], RawOutput]
) -> None:
    rig.engine.distort = lambda output: distortion(output) if output.scores.any() else output
    inspection = await rig.inspect(numbered(1))
    assert inspection.verdict is Verdict.UNDEFINED
    assert inspection.reasons[0].code == "processing_failed"


@pytest.mark.parametrize("distortion", [no_numbers, a_row_short, None])
async def test_an_engine_that_fails_on_anything_shows_and_recovers(
    rig: Rig, distortion: Callable[[RawOutput], RawOutput] | None, caplog: pytest.LogCaptureFixture
) -> None:
    rig.engine.hold()
    asking = [rig.ask(numbered(0), deadline_ms=500)]
    await rig.engine.started.get()
    asking += [rig.ask(numbered(n), deadline_ms=5000) for n in range(1, 12)]
    await settle()
    if distortion is None:
        rig.engine.fails_on = lambda image: True
    else:
        rig.engine.distort = distortion
    rig.engine.release()
    await settle()
    assert rig.inspector.readiness() == Readiness(ready=False, reason="engine_failing")
    with pytest.raises(NotReady, match="engine_failing"):
        await rig.inspect(numbered(1))
    # Nothing is failed for it: all wait, in their order, for an engine that works.
    assert rig.queue.depth == 12
    assert not any(task.done() for task in asking)
    rig.clock.advance(1.0)
    await settle()
    assert rig.inspector.readiness().reason == "engine_failing"
    assert (await asking[0]).reasons[0].code == "deadline"
    tried = len(rig.engine.batches)
    rig.engine.fails_on = lambda image: False
    rig.engine.distort = lambda output: output
    rig.clock.advance(1.0)
    answers = await asyncio.gather(*asking[1:])
    for number, inspection in enumerate(answers, start=1):
        found = inspection.detections[0].score
        assert found == pytest.approx(expected_score(number), abs=1e-4)
    assert rig.inspector.readiness() == Readiness(ready=True)
    assert [len(batch) for batch in rig.engine.batches[tried:]] == [1, 8, 3]
    assert int(rig.engine.batches[tried].max()) == 0
    assert caplog.text.count("engine_failing") == 1
    assert caplog.text.count("engine_works") == 1


async def test_a_picture_after_which_the_engine_fails_on_anything_is_given_up_alone(
    rig: Rig,
) -> None:
    sick: list[object] = []

    def fails_on(image: NDArray[np.uint8]) -> bool:
        if poisonous(image):
            sick.append(image)
        return bool(sick)

    rig.engine.fails_on = fails_on
    pictures = (numbered(1), POISON, numbered(2), *(numbered(n) for n in range(3, 12)))
    asking = [rig.ask(picture, deadline_ms=60_000) for picture in pictures]
    for _ in range(3):
        await settle()
        assert rig.worker.fault() == "engine_failing"
        sick.clear()
        rig.clock.advance(1.0)
    answers = await asyncio.wait_for(asyncio.gather(*asking), 5)
    undefined = [one.verdict is Verdict.UNDEFINED for one in answers]
    assert undefined == [picture == POISON for picture in pictures]
    assert answers[1].reasons[0].code == "processing_failed"


async def test_draining_does_not_wait_for_an_engine_that_fails_on_anything(rig: Rig) -> None:
    rig.engine.fails_on = lambda image: True
    asking = rig.ask(numbered(0))
    await settle()
    assert await rig.worker.drain(limit_s=10) is True
    await rig.worker.stop()
    assert rig.queue.depth == 1
    rig.clock.advance(1.0)
    assert (await asking).verdict is Verdict.UNDEFINED


async def test_a_fault_in_preparing_costs_one_picture(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("secret")

    with monkeypatch.context() as patch:
        patch.setattr("flawline.core.pipeline.decode_grey", broken)
        inspection = await rig.inspect(quarters(DARK))
    assert inspection.reasons[0].code == "processing_failed"
    for _ in range(rig.max_batch + 1):  # its room was given back
        assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


async def test_what_is_too_late_is_neither_decoded_nor_run(rig: Rig, decoded: list[bytes]) -> None:
    rig.engine.hold()
    first = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    late = [rig.ask(numbered(n), deadline_ms=500) for n in range(1, 12)]
    await settle()
    rig.clock.jump(0.6)
    await settle()
    rig.engine.release()
    for asking in late:
        assert (await asking).reasons[0].code == "deadline"
    assert (await first).verdict is Verdict.OK
    assert rig.engine.sizes == [1]
    assert decoded == [quarters(DARK)]
    for _ in range(rig.max_batch + 1):  # their room was given back
        assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


async def test_asked_for_more_than_it_can_do_it_answers_what_it_can() -> None:
    # Ten frames a second at a tenth of a second each would be met; twelve are asked for.
    rig = Rig(max_batch=1)
    engine_s, deadline_ms = 0.1, 500

    def slowly(output: RawOutput) -> RawOutput:
        rig.clock.jump(engine_s)
        return output

    rig.engine.distort = slowly
    async with rig:
        asking, due_s, began_s = [], 0.0, rig.clock.monotonic_s()
        for number in range(240):
            while rig.clock.monotonic_s() - began_s < due_s:
                rig.clock.advance(0.01)
                await settle()
            asking.append(rig.ask(numbered(number % 50), deadline_ms=deadline_ms))
            due_s += 1 / 12
        await settle()
        rig.clock.advance(1.0)
        answers = await asyncio.gather(*asking)
    judged = [a for a in answers if a.verdict is not Verdict.UNDEFINED]
    late = [a for a in answers if a.verdict is Verdict.UNDEFINED]
    assert {a.reasons[0].code for a in late} == {"deadline"}
    assert len(judged) > 0.75 * len(answers)


async def test_a_stuck_engine_shows_after_the_bound_and_recovers(rig: Rig) -> None:
    rig.engine.hold()
    asking = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    rig.clock.advance(STALL_LIMIT_S)
    assert (await asking).verdict is Verdict.UNDEFINED
    assert rig.inspector.readiness() == Readiness(ready=True)
    rig.clock.advance(0.1)
    assert rig.inspector.readiness() == Readiness(ready=False, reason="engine_stuck")
    with pytest.raises(NotReady, match="engine_stuck"):
        await rig.inspect(quarters(DARK))
    rig.engine.release()
    await settle()
    assert rig.inspector.readiness() == Readiness(ready=True)
    assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


async def test_a_worker_that_died_shows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(max_jobs: int) -> None:
        raise ConnectionError("the queue is gone")

    rig = Rig()
    monkeypatch.setattr(rig.queue, "lease", broken)
    async with rig:
        await settle()
        assert rig.inspector.readiness() == Readiness(ready=False, reason="worker_failed")
    assert "worker_failed" in caplog.text
    assert "the queue is gone" in caplog.text


async def test_stopping_waits_neither_for_a_stuck_engine_nor_for_each_lease(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving: list[Lease] = []
    all_leave = asyncio.Event()

    async def hang(lease: Lease) -> None:
        leaving.append(lease)
        if len(leaving) == 3:
            all_leave.set()
        await all_leave.wait()

    monkeypatch.setattr(rig.queue, "release", hang)
    rig.engine.hold()
    asking = [rig.ask(numbered(n)) for n in range(3)]
    await rig.engine.started.get()
    await asyncio.wait_for(rig.worker.stop(), 5)
    rig.clock.advance(1.0)
    assert {(await task).verdict for task in asking} == {Verdict.UNDEFINED}


async def test_draining_finishes_what_is_in_hand_and_takes_no_more(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(0))
    await rig.engine.started.get()
    prepared = rig.ask(numbered(1))
    await settle()
    draining = asyncio.create_task(rig.worker.drain(limit_s=10))
    await settle()
    late = rig.ask(numbered(2))
    await settle()
    assert rig.worker.fault() == "draining"
    assert not draining.done()
    rig.engine.release()
    assert await draining is True
    assert [(await task).verdict for task in (first, prepared)] == [Verdict.NOT_OK] * 2
    rig.clock.advance(1.0)
    with pytest.raises(NotReady):
        await late


async def test_what_draining_cannot_finish_is_handed_back_to_other_workers(rig: Rig) -> None:
    rig.engine.hold()
    asking = [rig.ask(numbered(n)) for n in range(3)]
    await rig.engine.started.get()
    await settle()
    assert rig.queue.depth == 0
    draining = asyncio.create_task(rig.worker.drain(limit_s=0.2))
    await settle()
    rig.clock.advance(0.2)
    assert await draining is False
    await rig.worker.stop()
    assert rig.queue.depth == 3
    assert len(await rig.queue.lease(8)) == 3
    rig.clock.advance(1.0)
    assert {(await task).verdict for task in asking} == {Verdict.UNDEFINED}


async def test_draining_what_was_never_started_is_done_at_once() -> None:
    assert await Rig().worker.drain(limit_s=1.0) is True


async def test_what_waits_behind_a_job_that_runs_alone_is_handed_back_too(rig: Rig) -> None:
    rig.engine.fails_on = lambda image: True
    asking = [rig.ask(numbered(n), deadline_ms=2000) for n in range(3)]
    await settle()
    rig.engine.fails_on = lambda image: False
    rig.engine.hold()
    rig.clock.advance(1.0)
    await settle()
    rig.engine.hold_next()  # the empty frame ends, and what comes then does not
    await settle()
    assert rig.engine.sizes[-1] == 1
    assert (rig.worker.jobs_in_hand, rig.queue.depth) == (3, 0)
    await rig.worker.stop()
    assert rig.queue.depth == 3
    rig.clock.advance(1.0)
    await asyncio.gather(*asking)


@pytest.fixture
def odd_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker died on each picture of the line `odd`."""
    lease = MemoryQueue.lease

    async def lease_suspects(queue: MemoryQueue, max_jobs: int) -> Sequence[Lease]:
        leases = await lease(queue, 1)
        return [replace(one, deliveries=2 if one.job.line == "odd" else 1) for one in leases]

    monkeypatch.setattr(MemoryQueue, "lease", lease_suspects)


@pytest.mark.usefixtures("odd_killed")
async def test_what_another_worker_died_on_runs_with_nothing_else_in_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extended: list[int] = []

    async def note(queue: MemoryQueue, leases: Sequence[Lease]) -> None:
        extended.append(len(leases))

    monkeypatch.setattr(MemoryQueue, "extend", note)
    async with Rig(extend_every_s=0.1) as rig:
        rig.engine.hold()
        first = rig.ask(numbered(0))
        await rig.engine.started.get()
        others = [rig.ask(numbered(n), line="odd" if n == 2 else None) for n in range(1, 5)]
        await settle()
        rig.clock.advance(0.1)
        await settle()
        assert extended == [3]  # one runs, one waits, the suspect is set aside
        rig.engine.release()
        answers = await asyncio.gather(first, *others)
        for number, inspection in enumerate(answers):
            found = inspection.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
        assert sorted(rig.telemetry.deliveries) == [1, 1, 1, 1, 2]
        suspect = next(i for i, b in enumerate(rig.engine.batches) if int(b[0].argmax()) // 64 > 31)
        assert len(rig.engine.batches[suspect]) == 1


@pytest.mark.usefixtures("odd_killed")
@pytest.mark.parametrize("stuck", [False, True])
async def test_what_another_worker_died_on_runs_alone_in_its_process(stuck: bool) -> None:
    clock = ManualClock()
    crew = Crew(clock)
    async with Rig(clock=clock, crew=crew) as one, Rig(clock=clock, crew=crew) as two:
        one.engine.hold()
        two.engine.hold()
        asking = [one.ask(numbered(1), deadline_ms=60_000)]
        await one.engine.started.get()
        asking.append(two.ask(numbered(2), line="odd", deadline_ms=60_000))
        await settle()
        asking += [one.ask(numbered(3), line=line, deadline_ms=60_000) for line in (None, "odd")]
        await settle()
        assert (two.engine.sizes, one.queue.depth) == ([], 2)  # handed back at once
        if not stuck:
            one.engine.hold_next()
            await asking[0]
        clock.advance(STALL_LIMIT_S + 1)
        await asyncio.wait_for(two.engine.started.get(), 5)
        assert (one.engine.sizes, one.queue.depth) == ([1], 2)
        two.engine.release()
        one.engine.release()
        for _ in range(10):
            await settle()
            clock.advance(0.1)
        assert all(task.done() for task in asking)
        assert one.engine.sizes == [1, 1, 1]


async def test_leases_are_extended_while_the_engine_runs_and_not_when_it_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extended: list[int] = []

    async def note(leases: Sequence[Lease]) -> None:
        extended.append(len(leases))

    async with Rig(extend_every_s=1.0) as rig:
        monkeypatch.setattr(rig.queue, "extend", note)
        await settle()
        rig.clock.advance(1.0)
        await settle()
        assert extended == []  # nothing is in hand
        rig.engine.hold()
        asking = [rig.ask(numbered(n), deadline_ms=60_000) for n in range(3)]
        await rig.engine.started.get()
        await settle()
        for _ in range(round(STALL_LIMIT_S) + 3):
            rig.clock.advance(1.0)
            await settle()
        assert extended == [3] * round(STALL_LIMIT_S)
        rig.engine.release()
        await asyncio.gather(*asking)


async def test_stopping_what_was_never_started_is_harmless() -> None:
    await Rig().worker.stop()


async def test_a_closed_queue_ends_the_worker_in_order(rig: Rig) -> None:
    await rig.queue.close()
    await settle()
    assert rig.worker.fault() == "worker_failed"


async def test_each_stage_is_timed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage takes a time of its own, so that none is taken for another."""
    from flawline.core import pipeline

    original = {name: getattr(pipeline, name) for name in ("decode_grey", "place", "judge")}
    durations_s = {"decode_grey": 0.003, "place": 0.005, "judge": 0.007}

    def slow(name: str) -> Callable[..., object]:
        def stage(*args: object) -> object:
            rig.clock.jump(durations_s[name])
            return original[name](*args)

        return stage

    for name in original:
        monkeypatch.setattr(pipeline, name, slow(name))
    rig.engine.hold()
    asking = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    rig.clock.jump(0.011)
    rig.engine.release()
    times = (await asking).processing_times
    assert rig.telemetry.engine_calls_s == [pytest.approx(0.011)]
    assert times.queue_ms == pytest.approx(0)
    assert times.decode_ms == pytest.approx(3)
    assert times.preprocess_ms == pytest.approx(5)
    assert times.inference_ms == pytest.approx(11)
    assert times.postprocess_ms == pytest.approx(7)
    assert times.total_ms == pytest.approx(26)


async def test_waiting_for_the_engine_counts_as_queueing(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    second = rig.ask(quarters(DARK))
    await settle()
    rig.clock.jump(0.25)
    rig.engine.release()
    await first
    times = (await second).processing_times
    assert times.queue_ms == pytest.approx(250)
    assert times.inference_ms == pytest.approx(0)


@pytest.mark.parametrize("parallel", [1, 3])
async def test_whatever_callers_do_nothing_is_left_behind(parallel: int) -> None:
    """Cancellations, deadlines, damaged and poisonous pictures in any order: all is given back."""
    async with Rig(parallel=parallel) as rig:
        await torment(rig)


async def torment(rig: Rig) -> None:
    random = np.random.default_rng(11)
    rig.engine.fails_on = poisonous
    asking: list[tuple[int, asyncio.Task[Inspection]]] = []
    for number in range(400):
        picture = {0: truncated(), 1: POISON}.get(number % 10) or numbered(number)
        deadline_ms = int(random.integers(1, 200))
        asking.append((number, rig.ask(picture, deadline_ms=deadline_ms)))
        if number % 7 == 0:
            asking[int(random.integers(len(asking)))][1].cancel()
        if number % 5 == 0:
            random.choice([rig.engine.hold, rig.engine.release])()
            rig.clock.advance(float(random.uniform(0, 0.03)))
            await settle()
    rig.engine.release()
    answers = await asyncio.gather(*(task for _, task in asking), return_exceptions=True)
    await settle()

    for (number, _), answer in zip(asking, answers, strict=True):
        if isinstance(answer, Inspection) and answer.verdict is not Verdict.UNDEFINED:
            found = answer.detections[0].score
            assert found == pytest.approx(expected_score(number), abs=1e-4)
            assert number % 10 > 1
        elif isinstance(answer, Inspection):
            assert answer.reasons[0].code in {"deadline", "processing_failed"}
        else:
            assert isinstance(answer, BadPicture | asyncio.CancelledError)
    kinds = {type(answer) for answer in answers}
    assert kinds == {Inspection, BadPicture, asyncio.CancelledError}
    assert {a.verdict for a in answers if isinstance(a, Inspection)} == {
        Verdict.NOT_OK,
        Verdict.UNDEFINED,
    }
    assert rig.worker._taken.room == rig.max_batch
    assert (rig.queue.depth, rig.queue._outcomes, rig.queue._leased) == (0, {}, {})
    assert not rig.worker._in_hand
    assert rig.clock.open_timers == 0
    assert rig.inspector.open_inspections == 0
    assert not rig.worker._errands
