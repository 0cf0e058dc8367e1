from __future__ import annotations

import numpy as np
import pytest
from fakes import settle
from model_rig import ModelRig
from pictures import clean, encoded, numbered
from rig import Rig

from flawline.core.errors import QueueFull
from flawline.core.line_figures import Alarm, LineState
from flawline.core.quality import FrameLimits
from flawline.core.values import Verdict

LIMITS = FrameLimits(min_brightness=0.02, max_saturated=0.95, min_contrast=0.003)
BLACK = encoded(np.zeros((64, 64), dtype=np.uint8))


@pytest.fixture
def rig() -> Rig:
    return Rig(lines=("press-1", "press-2"), frame_limits=LIMITS)


async def test_a_black_frame_is_not_decidable_and_the_engine_need_not_see_it(rig: Rig) -> None:
    async with rig:
        inspection = await rig.inspect(BLACK, line="anywhere", part_id="7")
    assert inspection.verdict is Verdict.NOT_DECIDABLE
    assert [reason.code for reason in inspection.reasons] == ["black"]
    assert (inspection.detections, inspection.part_id) == ((), "7")
    assert rig.engine.batches == []
    assert rig.worker.jobs_in_hand == 0


async def test_without_limits_no_frame_is_measured() -> None:
    async with Rig(lines=("press-1",)) as rig:
        assert (await rig.inspect(BLACK, line="press-1")).verdict is Verdict.OK
    (figures,) = rig.watch.figures()
    assert figures.quality["brightness"].value is None
    assert figures.learned == pytest.approx(1 / 20)  # verdicts count all the same


async def test_a_camera_that_hangs_is_found_before_any_work_is_spent(rig: Rig) -> None:
    async with rig:
        answers = [await rig.inspect(numbered(1), line="press-1", part_id=str(i)) for i in range(5)]
    verdicts = [answer.verdict for answer in answers]
    assert verdicts == [Verdict.NOT_OK] * 2 + [Verdict.NOT_DECIDABLE] * 3
    assert answers[-1].reasons[0].code == "frozen"
    assert answers[-1].recipe.name == "default"
    assert sum(rig.engine.sizes) == 2
    assert rig.telemetry.alarms == [("press-1", Alarm.CAMERA)]  # told once


async def test_a_caller_who_asks_again_hangs_no_camera(rig: Rig) -> None:
    async with rig:
        for _ in range(6):
            again = await rig.inspect(numbered(1), line="press-1", part_id="7")
            keyed = await rig.inspect(numbered(2), line="press-2", idempotency_key="k")
            assert {again.verdict, keyed.verdict} == {Verdict.NOT_OK}
    assert rig.telemetry.alarms == []


@pytest.mark.parametrize(
    "options", [{}, {"line": "made-up"}, {"line": "press-1", "priority": "backfill"}]
)
async def test_a_replayed_picture_hangs_no_camera_where_no_line_is_watched(
    rig: Rig, options: dict[str, str]
) -> None:
    async with rig:
        for _ in range(6):
            assert (await rig.inspect(numbered(1), **options)).verdict is Verdict.NOT_OK
    assert rig.telemetry.alarms == []


@pytest.mark.parametrize(
    ("asked", "watched"),
    [
        ({}, True),
        ({"model": "tiny"}, True),  # the Open Inference Protocol wants a name in each request
        ({"model": "tiny", "model_version": "1"}, False),
        ({"model": "tiny", "model_version": "2"}, False),
    ],
)
async def test_a_line_is_watched_by_what_is_asked_of_the_stable_model_whichever_that_is(
    asked: dict[str, str], watched: bool
) -> None:
    async with ModelRig(lines=("press-1",)) as rig:
        await rig.models.load("tiny", "2")
        answers = [await rig.ask(numbered(1), line="press-1", **asked) for _ in range(3)]
    hangs = answers[-1].verdict is Verdict.NOT_DECIDABLE
    assert hangs is watched
    assert rig.telemetry.alarms == [("press-1", Alarm.CAMERA)] * watched


@pytest.mark.parametrize("part_id", [None, "7"])
async def test_a_frame_that_was_refused_and_comes_again_hangs_no_camera(
    rig: Rig, part_id: str | None
) -> None:
    """As every client does that is told to come again, and a stream by itself."""
    async with rig:
        rig.queue.refuse_next(5)
        for _ in range(5):
            with pytest.raises(QueueFull):
                await rig.inspect(numbered(1), line="press-1", part_id=part_id)
        again = await rig.inspect(numbered(1), line="press-1", part_id=part_id)
        assert again.verdict is Verdict.NOT_OK
        # It counts once: a camera that hangs from now on is found as soon as any.
        verdicts = [(await rig.inspect(numbered(1), line="press-1")).verdict for _ in range(2)]
    assert verdicts == [Verdict.NOT_OK, Verdict.NOT_DECIDABLE]


async def test_a_frame_that_got_no_verdict_and_comes_again_hangs_no_camera(rig: Rig) -> None:
    async with rig:
        rig.engine.hold()
        for _ in range(4):
            asking = rig.ask(numbered(1), line="press-1", deadline_ms=300)
            await settle()
            rig.clock.advance(0.3)
            assert (await asking).verdict is Verdict.UNDEFINED
        rig.engine.release()
        await settle()
        again = await rig.inspect(numbered(1), line="press-1")
    assert again.verdict is Verdict.NOT_OK
    assert rig.telemetry.alarms == []


async def test_what_came_meanwhile_counts_although_a_frame_before_it_was_refused(rig: Rig) -> None:
    async with rig:
        rig.engine.hold()
        late = rig.ask(numbered(1), line="press-1", deadline_ms=300)
        await settle()
        others = [rig.ask(numbered(2), line="press-1", deadline_ms=900) for _ in range(2)]
        await settle()
        rig.clock.advance(0.3)
        assert (await late).verdict is Verdict.UNDEFINED
        assert (await rig.inspect(numbered(2), line="press-1")).verdict is Verdict.NOT_DECIDABLE
        rig.engine.release()
        for other in others:
            await other


async def test_a_frame_not_like_those_of_its_line_is_not_decidable_although_flaws_were_found(
    rig: Rig,
) -> None:
    small = encoded(np.full((32, 32), 200, dtype=np.uint8) - np.eye(32, dtype=np.uint8) * 190)
    async with rig:
        for number in range(25):
            await rig.inspect(numbered(number), line="press-1")
        odd = await rig.inspect(small, line="press-1")
    assert odd.verdict is Verdict.NOT_DECIDABLE
    codes = [reason.code for reason in odd.reasons]
    assert codes[0] == "wrong_size"
    assert set(codes[1:]) == {"defect"}  # what was found stays, for the person who looks
    assert odd.detections


async def test_a_rising_defect_rate_is_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Rig(lines=("press-1",)) as rig:
        for seed in range(60):
            assert (await rig.inspect(clean(seed), line="press-1")).verdict is Verdict.OK
        for number in range(40):
            await rig.inspect(numbered(number), line="press-1")
    assert rig.telemetry.alarms.count(("press-1", Alarm.DEFECT_RATE)) == 1
    (record,) = [r for r in caplog.records if "alarm=defect_rate" in r.message]
    assert record.message.startswith("alarm_raised line=press-1 alarm=defect_rate state=")
    assert "rose" in record.message


async def test_other_thresholds_make_another_rate(rig: Rig) -> None:
    async with rig:
        for number in range(30):
            await rig.inspect(numbered(number), line="press-1", min_score=0.01)
    assert rig.watch.figures()[0].defect_rate.rate is None


async def test_ten_thousand_names_are_not_remembered(rig: Rig) -> None:
    async with rig:
        for number in range(200):
            await rig.inspect(numbered(number), line=f"made-up-{number}")
    assert [figures.line for figures in rig.watch.figures()] == ["press-1", "press-2"]


async def test_a_line_that_stops_grows_silent(rig: Rig) -> None:
    async with rig:
        await rig.inspect(numbered(1), line="press-1")
        rig.clock.advance(90.0)
        await rig.inspect(numbered(2), line="press-2")
        silent_s = {figures.line: figures.silent_s for figures in rig.watch.figures()}
    assert silent_s == {"press-1": 90.0, "press-2": 0.0}


async def test_what_is_looked_at_later_is_no_frame_of_the_line(rig: Rig) -> None:
    async with rig:
        for number, priority in enumerate(("inline", "reinspection", "backfill")):
            await rig.inspect(numbered(number), line="press-1", priority=priority)
    assert [figures.frames for figures in rig.watch.figures()] == [1, 0]


async def test_a_clock_that_jumps_changes_no_state(rig: Rig) -> None:
    async with rig:
        for number in range(30):
            rig.clock.jump(86_400.0 if number % 7 == 0 else 0.01)
            task = rig.ask(numbered(number), line="press-1", deadline_ms=60_000)
            await settle()
            assert (await task).verdict is Verdict.NOT_OK
    (figures, _) = rig.watch.figures()
    assert figures.state is LineState.STEADY
    assert figures.alarms == frozenset()
