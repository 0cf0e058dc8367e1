"""Several frames of one part over REST, for asyncio and for ordinary code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from scripted_inspector import NOT_OK, OK, TOO_LATE
from scripted_service import TOKEN, Ask, ScriptedService

from flawline.application.request import InspectionRequest
from flawline.client import Part, PartInspection, RefusedError, Verdict
from flawline.client.rest import AsyncRestClient, RestClient
from flawline.core.errors import BadPicture, QueueFull
from flawline.core.values import Inspection

PART = Part((b"top", b"side"), line="press-2", part_id="SN-1")


@pytest.fixture(params=["asyncio", "blocking"])
async def ask(request: pytest.FixtureRequest, service: ScriptedService) -> AsyncIterator[Ask]:
    if request.param == "asyncio":
        async with AsyncRestClient(service.url, token=TOKEN, deadline_s=20.0) as client:
            yield client.inspect_part
        return
    blocking = RestClient(service.url, token=TOKEN, deadline_s=20.0)

    async def ask(part: Part, **options: Any) -> PartInspection:
        return await asyncio.to_thread(blocking.inspect_part, part, **options)

    yield ask
    await asyncio.to_thread(blocking.close)


def by_picture(outcomes: dict[bytes, Inspection | Exception]) -> Any:
    async def answer(request: InspectionRequest) -> Inspection:
        outcome = outcomes[request.picture]
        if isinstance(outcome, Exception):
            raise outcome
        return replace(outcome, line=request.line, part_id=request.part_id)

    return answer


async def test_a_part_has_one_verdict_and_each_frame_its_own(
    ask: Ask, service: ScriptedService
) -> None:
    service.inspector.outcome = by_picture({b"top": OK, b"side": NOT_OK})
    answer = await ask(replace(PART, min_score=0.5, priority="backfill"), idempotency_key="SN-1")
    assert answer.verdict is Verdict.NOT_OK
    assert answer.inspection_id
    assert (answer.line, answer.part_id, answer.reasons) == ("press-2", "SN-1", ())
    assert [frame.verdict for frame in answer.frames] == [Verdict.OK, Verdict.NOT_OK]
    assert [found.label for found in answer.frames[1].detections] == ["scratches", "patches"]
    seen = {request.picture: request for request in service.inspector.requests}
    assert seen.keys() == {b"top", b"side"}
    assert {(r.line, r.part_id, r.min_score, r.priority) for r in seen.values()} == {
        ("press-2", "SN-1", 0.5, "backfill")
    }


async def test_a_part_that_was_not_evaluated_keeps_what_its_frames_got(
    ask: Ask, service: ScriptedService
) -> None:
    service.inspector.outcome = by_picture({b"top": OK, b"side": TOO_LATE})
    answer = await ask(PART)
    assert answer.verdict is Verdict.UNDEFINED
    assert [reason.code for reason in answer.reasons] == ["deadline"]
    assert [frame.verdict for frame in answer.frames] == [Verdict.OK, Verdict.UNDEFINED]


async def test_a_part_that_does_not_fit_is_sent_again(ask: Ask, service: ScriptedService) -> None:
    tries = []

    async def full_at_first(request: InspectionRequest) -> Inspection:
        tries.append(request.picture)
        if len(tries) <= 2:
            raise QueueFull(0.01)
        return OK

    service.inspector.outcome = full_at_first
    assert (await ask(PART)).verdict is Verdict.OK
    assert len(tries) > 2


async def test_a_service_that_never_answers_leaves_a_part_undefined(
    ask: Ask, service: ScriptedService
) -> None:
    service.inspector.outcome = by_picture(dict.fromkeys(PART.pictures, QueueFull(60.0)))
    answer = await ask(PART, deadline_s=0.5)
    assert (answer.verdict, answer.frames, answer.inspection_id) == (Verdict.UNDEFINED, (), "")
    assert [reason.code for reason in answer.reasons] == ["queue_full"]


async def test_a_frame_that_is_no_picture_refuses_the_part(
    ask: Ask, service: ScriptedService
) -> None:
    bad = BadPicture("corrupt_picture", "It is cut short.")
    service.inspector.outcome = by_picture({b"top": OK, b"side": bad})
    with pytest.raises(RefusedError) as refusal:
        await ask(PART)
    assert (refusal.value.code, refusal.value.field) == ("corrupt_picture", "frames[1]")


async def test_a_part_without_pictures_is_refused(ask: Ask, service: ScriptedService) -> None:
    with pytest.raises(RefusedError) as refusal:
        await ask(Part(()))
    assert refusal.value.field == "frames"
    with pytest.raises(RefusedError, match="a tuple of the bytes of each"):
        await ask(Part(b"top"))
    with pytest.raises(RefusedError, match="must be the bytes of its file") as refusal:
        await ask(Part((b"top", None)))
    assert refusal.value.field == "frames[1]"
    assert service.inspector.requests == []
