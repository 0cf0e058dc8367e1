from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeEngine, settle
from model_rig import LEAVE_S, LOAD_LIMIT_S, ModelRig
from pictures import expected_score, numbered, quarters

from flawline.core.errors import InvalidRequest, NotReady
from flawline.core.model_errors import (
    ChangeInProgress,
    ModelControlOff,
    ModelIsStable,
    NoEarlierModel,
    StableChanged,
    TooManyModels,
    UnknownModel,
    UnusableArtifact,
)
from flawline.core.priority import Priority
from flawline.core.values import Inspection, RawOutput, Verdict
from flawspec.errors import HashMismatch

# A scratch of score 0.67: a defect by version 1 (0.5), none by version 2 (0.9).
HALF_BRIGHT = quarters((170, 0, 0, 0))


def agrees_with_its_model(inspection: Inspection) -> bool:
    """Model, recipe and verdict are of one version."""
    version = inspection.model.version
    assert inspection.recipe.version == version
    assert inspection.model.sha256 == version * 64
    return inspection.verdict is {"1": Verdict.NOT_OK, "2": Verdict.OK}[version]


async def test_requests_around_a_switch_are_each_answered_by_one_model_wholly() -> None:
    async with ModelRig() as rig:
        rig.engines["1"].hold()
        before = [rig.ask(HALF_BRIGHT) for _ in range(20)]
        await settle()
        switched = await rig.models.switch("tiny", "2")
        after = [rig.ask(HALF_BRIGHT) for _ in range(20)]
        answers_after = await asyncio.gather(*after)
        rig.engines["1"].release()
        answers_before = await asyncio.gather(*before)
    assert switched.version == "2"
    assert {answer.model.version for answer in answers_after} == {"2"}
    assert {answer.model.version for answer in answers_before} == {"1"}
    assert all(map(agrees_with_its_model, (*answers_before, *answers_after)))


async def test_pictures_keep_their_answers_through_many_switches() -> None:
    async with ModelRig() as rig:
        waiting = []
        for number in range(60):
            if number % 10 == 5:
                await rig.models.switch("tiny", "2" if rig.stable == "1" else "1")
            waiting.append(rig.ask(numbered(number + 1), min_score=0.0, part_id=str(number)))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*waiting)
    for number, answer in enumerate(answers):
        assert answer.part_id == str(number)
        assert answer.detections[0].score == pytest.approx(expected_score(number + 1), abs=2e-4)
    assert {answer.model.version for answer in answers} == {"1", "2"}


async def test_the_former_model_stays_for_a_roll_back_and_goes_when_room_is_needed() -> None:
    async with ModelRig() as rig:
        await rig.models.switch("tiny", "2")
        first = rig.engines["1"]
        assert rig.loaded == ["2", "1"]
        assert not first.closed
        await rig.models.switch("tiny", "3")
        assert rig.loaded == ["3", "2"]
        assert first.closed
        assert rig.models.previous is not None
        assert rig.models.previous.version == "2"
    assert rig.models_telemetry.stable == ["2", "3"]
    assert {"dent", "rust"} <= rig.models_telemetry.labels


async def test_a_model_that_goes_answers_first_what_it_was_asked() -> None:
    async with ModelRig() as rig:
        engine = rig.engines["1"]
        engine.hold()
        asked = [rig.ask(HALF_BRIGHT, deadline_ms=30_000) for _ in range(10)]
        await settle()
        await rig.models.switch("tiny", "2")
        leaving = asyncio.create_task(rig.models.unload("tiny", "1"))
        await settle()
        assert not leaving.done()
        assert not engine.closed
        with pytest.raises(UnknownModel):
            await rig.ask(HALF_BRIGHT, model="tiny", model_version="1")
        assert rig.models.depth_of(Priority.INLINE) > 0
        engine.release()
        answers = await asyncio.gather(*asked)
        await leaving
        assert engine.closed
    assert {(answer.model.version, answer.verdict) for answer in answers} == {("1", Verdict.NOT_OK)}


async def test_a_model_that_is_stuck_is_left_behind_once_its_requests_are_over() -> None:
    async with ModelRig() as rig:
        engine = rig.engines["1"]
        engine.hold()
        asked = rig.ask(HALF_BRIGHT, deadline_ms=1000)
        await settle()
        rig.clock.advance(0.9)
        await rig.models.switch("tiny", "2")
        leaving = asyncio.create_task(rig.models.unload("tiny", "1"))
        await settle()
        rig.clock.advance(0.2)
        assert (await asked).verdict is Verdict.UNDEFINED
        await leaving
        assert engine.closed
        assert rig.inspector.readiness().ready


async def test_who_uses_a_model_for_ever_does_not_keep_it_for_ever() -> None:
    async with ModelRig() as rig:
        await rig.models.load("tiny", "2")
        with rig.models.lane("tiny", "2"):
            leaving = asyncio.create_task(rig.models.unload("tiny", "2"))
            await settle()
            assert not rig.engines["2"].closed
            rig.clock.advance(LEAVE_S)
            await leaving
            assert rig.engines["2"].closed


async def test_a_loaded_model_inspects_for_those_who_name_it() -> None:
    async with ModelRig() as rig:
        await rig.models.load("tiny", "2")
        named = await rig.ask(HALF_BRIGHT, model="tiny", model_version="2")
        by_name_alone = await rig.ask(HALF_BRIGHT, model="tiny")
        unnamed = await rig.ask(HALF_BRIGHT)
        assert [a.model.version for a in (named, by_name_alone, unnamed)] == ["2", "1", "1"]
        assert agrees_with_its_model(named)
        with pytest.raises(UnknownModel, match=r"no model 'tiny' version '9' here.*tiny 1, tiny 2"):
            await rig.ask(HALF_BRIGHT, model="tiny", model_version="9")
        with pytest.raises(InvalidRequest, match="model_version"):
            await rig.ask(HALF_BRIGHT, model_version="2")
    assert rig.telemetry.rejections == ["unknown_model", "invalid_request"]


async def test_a_named_model_that_is_stuck_refuses_and_the_stable_one_does_not() -> None:
    async with ModelRig() as rig:
        await rig.models.load("tiny", "2")
        rig.engines["2"].hold()
        stuck = rig.ask(HALF_BRIGHT, model="tiny", model_version="2", deadline_ms=60_000)
        await settle()
        rig.clock.advance(6.0)
        with pytest.raises(NotReady, match="engine_stuck"):
            await rig.ask(HALF_BRIGHT, model="tiny", model_version="2")
        assert (await rig.ask(HALF_BRIGHT)).verdict is Verdict.NOT_OK
        with pytest.raises(UnusableArtifact, match="engine_stuck"):
            await rig.models.switch("tiny", "2")
        assert rig.stable == "1"
        rig.engines["2"].release()
        await stuck


async def test_roll_back_goes_one_back_each_time_and_only_from_what_is_stable() -> None:
    async with ModelRig(max_loaded=3) as rig:
        with pytest.raises(NoEarlierModel):
            await rig.models.roll_back("tiny", "1")
        await rig.models.switch("tiny", "2")
        await rig.models.switch("tiny", "3")
        assert (await rig.models.roll_back("tiny", "3")).version == "2"
        with pytest.raises(StableChanged, match="stable is tiny 2 now"):
            await rig.models.roll_back("tiny", "3")
        assert (await rig.models.roll_back("tiny", "2")).version == "1"
        assert rig.models.previous is None
        assert (await rig.ask(HALF_BRIGHT)).model.version == "1"
    assert rig.engines["1"].loads == 1


async def test_roll_back_loads_again_what_has_gone_if_it_is_the_same_file() -> None:
    async with ModelRig() as rig:
        await rig.models.switch("tiny", "2")
        await rig.models.unload("tiny", "1")
        assert (await rig.models.roll_back("tiny", "2")).version == "1"
        await rig.models.switch("tiny", "2")
        await rig.models.unload("tiny", "1")
        rig.hashes["1"] = "f" * 64
        with pytest.raises(UnusableArtifact, match="not the file any more"):
            await rig.models.roll_back("tiny", "2")
        # Another file was not loaded either: it would answer, and take a place.
        assert rig.loaded == ["2"]
        assert rig.stable == "2"


async def test_switching_to_the_stable_model_changes_nothing() -> None:
    async with ModelRig() as rig:
        await rig.models.switch("tiny", "1")
        assert rig.models.previous is None
        assert rig.loaded == ["1"]
        assert rig.engines["1"].loads == 1


async def test_without_a_version_the_latest_is_loaded_and_loaded_once() -> None:
    async with ModelRig() as rig:
        assert (await rig.models.load("tiny")).version == "4"
        assert (await rig.models.load("tiny")).version == "4"
        assert (await rig.models.load("tiny", "4")).version == "4"
        assert rig.loaded == ["1", "4"]


async def test_no_more_models_than_the_limit_and_a_candidate_is_never_pushed_out() -> None:
    async with ModelRig() as rig:
        await rig.models.load("tiny", "2")
        with pytest.raises(TooManyModels, match=r"tiny 1, tiny 2; unload one"):
            await rig.models.load("tiny", "3")
        assert rig.loaded == ["1", "2"]
        await rig.models.unload("tiny", "2")
        await rig.models.load("tiny", "3")
        with pytest.raises(ModelIsStable):
            await rig.models.unload("tiny", "1")
        with pytest.raises(UnknownModel):
            await rig.models.unload("tiny", "2")


def says_nothing_finite(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy, output.scores * np.nan)


def leaks_between_rows(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy, np.flip(output.scores, axis=0))


def always_the_same(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy, np.full_like(output.scores, 0.25))


def too_few_boxes(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy[:, :1], output.scores)


def inside_out(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy[..., ::-1].copy(), output.scores)


def beyond_one(output: RawOutput) -> RawOutput:
    return RawOutput(output.boxes_xyxy, output.scores + 1)


@pytest.mark.parametrize(
    ("distort", "says"),
    [
        (says_nothing_finite, "not finite"),
        (leaks_between_rows, "alone gives another answer"),
        (always_the_same, "the same whatever the picture"),
        (too_few_boxes, "gave boxes"),
        (inside_out, "inside out"),
        (beyond_one, "not from 0 to 1"),
    ],
)
async def test_a_model_that_fails_its_self_test_changes_nothing(distort, says: str) -> None:
    async with ModelRig() as rig:
        rig.next_engine = broken = FakeEngine()
        broken.distort = distort
        with pytest.raises(UnusableArtifact, match=says) as raised:
            await rig.models.switch("tiny", "2")
        assert raised.value.reason == "self_test_failed"
        assert broken.closed
        assert (rig.stable, rig.loaded) == ("1", ["1"])
        assert (await rig.ask(HALF_BRIGHT)).model.version == "1"
    assert rig.models_telemetry.changes == [("switch", "failed")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HashMismatch("tiny-2.onnx has sha256 f00"), "hash_mismatch"),
        (MemoryError("secret inner detail"), "load_failed"),
        (RuntimeError("secret inner detail"), "load_failed"),
    ],
)
async def test_a_model_that_cannot_be_loaded_changes_nothing_and_says_why(
    error: Exception, reason: str
) -> None:
    async with ModelRig() as rig:
        rig.next_engine = broken = FakeEngine()
        broken.load_error = error
        with pytest.raises(UnusableArtifact) as raised:
            await rig.models.load("tiny", "2")
        assert raised.value.reason == reason
        assert "secret" not in str(raised.value)
        assert broken.closed
        assert (await rig.ask(HALF_BRIGHT)).model.version == "1"
        assert (await rig.models.load("tiny", "2")).version == "2"
    assert rig.models_telemetry.changes == [("load", "failed"), ("load", "done")]


async def test_loading_takes_no_longer_than_it_may() -> None:
    async with ModelRig() as rig:
        rig.next_engine = slow = FakeEngine()
        slow.hold_loading()
        loading = asyncio.create_task(rig.models.load("tiny", "2"))
        await settle()
        assert (await rig.ask(HALF_BRIGHT)).model.version == "1"
        rig.clock.advance(LOAD_LIMIT_S)
        with pytest.raises(UnusableArtifact, match="within 120 s"):
            await loading
        assert slow.closed


async def test_one_change_at_a_time_and_it_ends_although_its_caller_went_away() -> None:
    async with ModelRig() as rig:
        rig.next_engine = slow = FakeEngine()
        slow.hold_loading()
        loading = asyncio.create_task(rig.models.switch("tiny", "2"))
        await settle()
        with pytest.raises(ChangeInProgress):
            await rig.models.load("tiny", "3")
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        slow.release_loading()
        while rig.stable != "2":  # noqa: ASYNC110 - a thread draws frames meanwhile
            await asyncio.sleep(0.001)
        await settle()
    assert rig.models_telemetry.changes == [("load", "refused"), ("switch", "done")]


async def test_closing_ends_a_change_and_every_engine() -> None:
    rig = ModelRig()
    with pytest.raises(NotReady, match="starting"):
        await rig.models.load("tiny", "2")
    async with rig:
        rig.next_engine = slow = FakeEngine()
        slow.hold_loading()
        loading = asyncio.create_task(rig.models.load("tiny", "2"))
        await settle()
        closing = asyncio.create_task(rig.models.close())
        with pytest.raises(NotReady, match="draining"):
            await loading
        await closing
        assert slow.closed
        assert rig.engines["1"].closed
        with pytest.raises(NotReady, match="draining"):
            await rig.models.unload("tiny", "2")


async def test_closing_while_a_model_drains_closes_it_too() -> None:
    async with ModelRig() as rig:
        await rig.models.load("tiny", "2")
        with rig.models.lane("tiny", "2"):
            leaving = asyncio.create_task(rig.models.unload("tiny", "2"))
            await settle()
            await rig.models.close()
            assert rig.engines["2"].closed
            with pytest.raises(NotReady):
                await leaving


async def test_models_are_not_changed_where_nobody_allowed_it() -> None:
    async with ModelRig(allowed=False) as rig:
        for change in (
            rig.models.load("tiny", "2"),
            rig.models.switch("tiny", "2"),
            rig.models.unload("tiny", "2"),
            rig.models.roll_back("tiny", "1"),
        ):
            with pytest.raises(ModelControlOff):
                await change
        assert len(await rig.models.artifacts()) == 4
        assert rig.loaded == ["1"]


async def test_a_repeat_under_a_key_gets_the_verdict_of_the_model_that_looked() -> None:
    async with ModelRig() as rig:
        first = await rig.ask(HALF_BRIGHT, idempotency_key="k")
        await rig.models.switch("tiny", "2")
        repeat = await rig.ask(HALF_BRIGHT, idempotency_key="k")
        assert repeat == first
        other = await rig.ask(HALF_BRIGHT, idempotency_key="m")
    assert replace(other, inspection_id="") != replace(first, inspection_id="")
    assert (other.model.version, other.verdict) == ("2", Verdict.OK)
