from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import timezone

import pytest
from fakes import settle
from pictures import DARK, expected_score, numbered, quarters, truncated
from rig import MODEL, Rig

from flawline.application.inspector import InspectionRequest, Readiness
from flawline.core.errors import (
    BadPicture,
    InspectionError,
    InvalidRequest,
    NotReady,
    QueueFull,
    UnknownRecipe,
)
from flawline.core.values import ModelRef, RecipeRef, Verdict


async def test_a_flawed_picture_is_not_ok_and_the_answer_says_all(rig: Rig) -> None:
    picture = quarters((0, 0, 204, 0))
    inspection = await rig.inspect(picture, line="press-1", part_id="4711")

    assert inspection.verdict is Verdict.NOT_OK
    assert [reason.code for reason in inspection.reasons] == ["defect", "defect"]
    assert inspection.reasons[0].detail == "1 scratch, highest score 0.80, threshold 0.50"
    scratch = inspection.detections[0]
    assert (scratch.label, scratch.score) == ("scratch", 0.8)
    assert (scratch.box.x_min, scratch.box.y_min, scratch.box.x_max) == (2, 34, 26)
    assert (inspection.line, inspection.part_id) == ("press-1", "4711")
    assert inspection.frame.sha256 == hashlib.sha256(picture).hexdigest()
    assert (inspection.frame.width_px, inspection.frame.height_px) == (64, 64)
    assert inspection.recipe == RecipeRef("default", "1.2.3")
    assert inspection.model == ModelRef("tiny", "1.2.3", MODEL.sha256)
    assert inspection.created_at.tzinfo is timezone.utc
    assert rig.telemetry.inspections == [inspection]


async def test_nobody_waits_for_backfill(rig: Rig) -> None:
    for priority in (None, "inline", "reinspection", "backfill"):
        await rig.inspect(quarters(DARK), priority=priority)
    assert rig.telemetry.waited_for == [True, True, True, False]


async def test_a_clean_picture_is_ok_without_a_reason(rig: Rig) -> None:
    inspection = await rig.inspect(quarters(DARK))
    assert (inspection.verdict, inspection.reasons) == (Verdict.OK, ())
    assert (inspection.line, inspection.part_id) == ("default", None)


async def test_min_score_replaces_the_thresholds_of_this_request_alone(rig: Rig) -> None:
    picture = quarters((100, 0, 0, 0))  # scratch 0.39, pit 0.20
    assert (await rig.inspect(picture)).verdict is Verdict.OK
    lowered = await rig.inspect(picture, min_score=0.3)
    assert [d.label for d in lowered.detections] == ["scratch"]
    assert lowered.recipe == RecipeRef("default", "1.2.3+min_score")
    assert (await rig.inspect(quarters((250, 0, 0, 0)), min_score=1.0)).verdict is Verdict.OK


async def test_everyone_gets_the_answer_to_his_own_picture(rig: Rig) -> None:
    answers = await asyncio.gather(*(rig.inspect(numbered(n), part_id=str(n)) for n in range(200)))
    for number, inspection in enumerate(answers):
        assert inspection.part_id == str(number)
        scratch = inspection.detections[0]
        assert scratch.score == pytest.approx(expected_score(number), abs=1e-4)
        assert (scratch.box.x_min, scratch.box.y_min) == [(2, 2), (34, 2), (2, 34), (34, 34)][
            number % 4
        ]
    assert len({inspection.inspection_id for inspection in answers}) == 200


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"line": ""}, InvalidRequest, "line"),
        ({"line": "-x"}, InvalidRequest, "line"),
        ({"line": "press 1"}, InvalidRequest, "line"),
        ({"line": "press\n1"}, InvalidRequest, "line"),
        ({"line": "x" * 65}, InvalidRequest, "line"),
        ({"part_id": ""}, InvalidRequest, "part_id"),
        ({"part_id": "a\tb"}, InvalidRequest, "part_id"),
        ({"part_id": "x" * 129}, InvalidRequest, "part_id"),
        ({"min_score": -0.01}, InvalidRequest, "min_score"),
        ({"min_score": 1.01}, InvalidRequest, "min_score"),
        ({"min_score": float("nan")}, InvalidRequest, "min_score"),
        ({"deadline_ms": 0}, InvalidRequest, "deadline_ms"),
        ({"deadline_ms": 60_001}, InvalidRequest, "deadline_ms"),
        ({"priority": "urgent"}, InvalidRequest, "priority"),
        ({"recipe": "lax"}, UnknownRecipe, "known recipes: default"),
    ],
)
async def test_a_bad_parameter_is_named(
    rig: Rig, options: dict[str, object], error: type[InspectionError], word: str
) -> None:
    with pytest.raises(error, match=word) as caught:
        await rig.inspect(quarters(DARK), **options)
    if isinstance(caught.value, InvalidRequest):
        assert caught.value.field == word
    assert rig.telemetry.rejections == [caught.value.code]
    assert rig.telemetry.inspections == []


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        pytest.param(b"", "empty_picture", id="empty"),
        pytest.param(b"not a picture at all", "not_a_picture", id="text"),
        pytest.param(quarters(DARK, side_px=8), "picture_too_small", id="too small"),
        pytest.param(truncated(), "corrupt_picture", id="cut short: the header alone is fine"),
    ],
)
async def test_a_bad_picture_is_the_callers_fault(rig: Rig, picture: bytes, code: str) -> None:
    with pytest.raises(BadPicture) as caught:
        await rig.inspect(picture)
    assert caught.value.code == code
    assert rig.telemetry.rejections == [code]
    assert rig.engine.batches == []
    assert (await rig.inspect(quarters(DARK))).verdict is Verdict.OK


async def test_a_large_picture_is_hashed_off_the_event_loop() -> None:
    async with Rig(large_picture_bytes=1000) as rig:
        small, large = quarters(DARK), quarters(DARK) + bytes(1000)
        await rig.inspect(small)
        assert rig.intake.calls == 0
        inspection = await rig.inspect(large)
        assert rig.intake.calls == 1
        assert inspection.frame.sha256 == hashlib.sha256(large).hexdigest()
        with pytest.raises(BadPicture):
            await rig.inspect(b"no picture" * 200)


async def test_a_hung_engine_costs_a_verdict_but_not_the_deadline(rig: Rig) -> None:
    rig.engine.hold()
    asking = rig.ask(quarters(DARK), deadline_ms=300)
    await rig.engine.started.get()
    rig.clock.advance(0.299)
    await settle()
    assert not asking.done()
    rig.clock.advance(0.001)
    inspection = await asking
    assert inspection.verdict is Verdict.UNDEFINED
    assert [(r.code, r.detail) for r in inspection.reasons] == [
        ("deadline", "No verdict within 300 ms.")
    ]
    assert inspection.detections == ()
    assert inspection.frame.sha256
    assert inspection.processing_times.total_ms == pytest.approx(300)
    assert rig.telemetry.inspections == [inspection]
    assert rig.clock.open_timers == 0


async def test_the_default_deadline_is_the_settings(rig: Rig) -> None:
    rig.engine.hold()
    asking = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    rig.clock.advance(1.0)
    assert (await asking).reasons[0].detail == "No verdict within 1000 ms."


async def test_a_verdict_that_comes_late_is_none(rig: Rig) -> None:
    # The event loop was busy over the deadline: the outcome is there, the timer has not rung yet.
    rig.engine.hold()
    asking = rig.ask(quarters(DARK))
    await rig.engine.started.get()
    rig.clock.jump(1.01)
    rig.engine.release()
    inspection = await asking
    assert inspection.verdict is Verdict.UNDEFINED
    assert inspection.reasons[0].code == "deadline"


async def test_a_deadline_that_passes_while_the_picture_is_looked_at() -> None:
    async with Rig(large_picture_bytes=0) as rig:
        rig.intake.hold()
        asking = rig.ask(quarters(DARK))
        await settle()
        rig.clock.advance(1.0)
        inspection = await asking
        rig.intake.release()
    assert inspection.reasons[0].code == "deadline"
    assert (inspection.frame.width_px, inspection.frame.sha256) == (0, "")


async def test_a_caller_who_goes_away_takes_his_job_along_and_no_other() -> None:
    async with Rig(max_batch=1) as rig:
        rig.engine.hold()
        running, ahead, queued, neighbour = (rig.ask(numbered(n)) for n in range(4))
        await settle()
        queued.cancel()
        await settle()
        assert rig.queue.depth == 1
        rig.engine.release()
        for number, asking in ((0, running), (1, ahead), (3, neighbour)):
            found = (await asking).detections[0]
            assert found.score == pytest.approx(expected_score(number), abs=1e-4)
    assert queued.cancelled()
    assert len(rig.engine.batches) == 3
    assert len(rig.telemetry.inspections) == 3


async def test_what_waits_at_the_gate_goes_before_what_nobody_waits_for() -> None:
    async with Rig(max_batch=1) as rig:
        rig.engine.hold()
        asking = [rig.ask(numbered(n)) for n in range(2)]  # one runs, one is prepared
        await settle()
        asking += [rig.ask(numbered(40), priority="backfill"), rig.ask(numbered(80))]
        await settle()
        rig.engine.release()
        await asyncio.gather(*asking)
        assert [int(batch.max()) for batch in rig.engine.batches] == [140, 140, 160, 150]


async def test_a_full_queue_refuses_at_once() -> None:
    async with Rig(max_batch=1, capacity=2) as rig:
        rig.engine.hold()
        asking = []
        for _ in range(4):  # one runs, one is prepared, two wait
            asking.append(rig.ask(quarters(DARK)))
            await settle()
        with pytest.raises(QueueFull) as caught:
            await rig.inspect(quarters(DARK))
        assert caught.value.retry_after_s > 0
        assert rig.telemetry.rejections == ["queue_full"]
        rig.engine.release()
        assert [(await task).verdict for task in asking] == [Verdict.OK] * 4


async def test_an_error_of_ours_goes_to_the_log_and_only_its_id_to_the_caller(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(job_id: str) -> None:
        raise RuntimeError("secret inner detail of the queue")

    monkeypatch.setattr(rig.queue, "result", broken)
    with caplog.at_level(logging.ERROR):
        inspection = await rig.inspect(quarters(DARK))
    assert inspection.verdict is Verdict.UNDEFINED
    (reason,) = inspection.reasons
    assert reason.code == "processing_failed"
    assert "secret" not in reason.detail
    error_id = reason.detail.split()[-1].rstrip(".")
    assert error_id in caplog.text
    assert "secret inner detail" in caplog.text


async def test_before_it_is_opened_nothing_is_taken() -> None:
    rig = Rig()
    assert rig.inspector.readiness() == Readiness(ready=False, reason="starting")
    with pytest.raises(NotReady) as caught:
        await rig.inspect(quarters(DARK))
    assert (caught.value.reason, rig.telemetry.rejections) == ("starting", ["not_ready"])


async def test_draining_refuses_the_new_and_finishes_the_accepted(rig: Rig) -> None:
    rig.engine.hold()
    asking = rig.ask(quarters((200, 0, 0, 0)))
    await rig.engine.started.get()
    draining = asyncio.create_task(rig.inspector.drain(limit_s=10))
    await settle()
    assert rig.inspector.readiness() == Readiness(ready=False, reason="draining")
    with pytest.raises(NotReady, match="draining"):
        await rig.inspect(quarters(DARK))
    assert not draining.done()
    rig.engine.release()
    assert (await asking).verdict is Verdict.NOT_OK
    assert await draining is True


async def test_a_protocol_may_ask_before_it_reads_a_picture(rig: Rig) -> None:
    rig.inspector.check_ready()
    told = asyncio.create_task(rig.inspector.until_draining())
    await settle()
    assert not told.done()
    await rig.inspector.drain(limit_s=10)
    await told
    with pytest.raises(NotReady, match="draining"):
        rig.inspector.check_ready()
    assert rig.telemetry.rejections == ["not_ready"]


async def test_draining_gives_up_in_time_and_the_caller_is_told(rig: Rig) -> None:
    rig.engine.hold()
    asking = rig.ask(quarters(DARK), deadline_ms=60_000)
    await rig.engine.started.get()
    draining = asyncio.create_task(rig.inspector.drain(limit_s=10))
    await settle()
    rig.clock.advance(10)
    assert await draining is False
    await rig.queue.close()
    assert (await asking).reasons[0].code == "stopped"


async def test_what_can_be_asked_about_the_service(rig: Rig) -> None:
    assert rig.inspector.recipes == ("default",)
    assert rig.inspector.models() == (MODEL,)
    assert rig.inspector.readiness() == Readiness(ready=True)
    assert InspectionRequest(b"").deadline_ms is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01\nforged log line", False),
    ],
)
async def test_the_trace_reaches_the_log_of_the_worker_if_it_is_one(
    rig: Rig, caplog: pytest.LogCaptureFixture, sent: str, kept: bool
) -> None:
    rig.engine.fails_on = lambda image: int(image.max()) > 0  # an empty frame works
    await rig.inspect(numbered(1), traceparent=sent)
    trace_id = sent.split("-")[1] if kept else None
    assert f"trace_id={trace_id} " in caplog.text
    assert "forged" not in caplog.text


async def test_what_is_wrong_although_work_is_taken_is_said(rig: Rig) -> None:
    rig.inspector._degraded = lambda: "queue_unavailable"
    assert rig.inspector.readiness() == Readiness(ready=True, degraded="queue_unavailable")


async def test_what_a_protocol_refuses_itself_is_counted_too(rig: Rig) -> None:
    rig.inspector.refused("unsupported_media_type")
    assert rig.telemetry.rejections == ["unsupported_media_type"]
