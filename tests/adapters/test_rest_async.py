"""`Prefer: respond-async`: accepted now, answered later. And callers who hang up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from rest_app import app_of
from scripted_inspector import NOT_OK, OK, TOO_LATE, ScriptedInspector

from flawline.adapters.rest.preferences import Preferences
from flawline.application.inspector import InspectionRequest
from flawline.core.errors import BadPicture, NotReady, QueueFull, UnknownRecipe
from flawline.core.values import Inspection

URL = "/v1/inspections"
ASYNC = {"prefer": "respond-async"}
TEXT = {"accept": "text/plain"}


class Gate:
    """Inspects once it is open, and knows who gave up before."""

    def __init__(self, outcome: Inspection | Exception = NOT_OK) -> None:
        self.outcome = outcome
        self.withdrawn = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, request: InspectionRequest) -> Inspection:
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.withdrawn.set()
            raise
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return replace(self.outcome, inspection_id=request.inspection_id)


@pytest.fixture
async def client(inspector: ScriptedInspector) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(inspector))
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        yield client


async def fetched(client: httpx.AsyncClient, location: str, **options: object) -> httpx.Response:
    """The answer, once it is no longer pending."""
    for _ in range(1000):
        response = await client.get(location, **options)
        if response.status_code != 202:
            return response
        await asyncio.sleep(0)
    raise AssertionError("it stays pending")


async def test_accepted_now_answered_later(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    gate = inspector.outcome = Gate()
    accepted = await client.post(URL, content=b"jpeg", headers=ASYNC)
    assert accepted.status_code == 202
    location = accepted.headers["location"]
    assert accepted.headers["preference-applied"] == "respond-async"
    assert int(accepted.headers["retry-after"]) >= 1
    inspection_id = accepted.json()["inspection_id"]
    assert location == f"{URL}/{inspection_id}"
    assert accepted.json()["verdict"] == "Undefined"
    pending = await client.get(location)
    assert (pending.status_code, pending.json()) == (202, accepted.json())
    assert "location" not in pending.headers
    gate.open()
    answer = await fetched(client, location)
    assert answer.status_code == 200
    assert (answer.json()["verdict"], answer.json()["inspection_id"]) == ("NotOK", inspection_id)
    assert (await client.get(location)).json() == answer.json()  # as often as one likes
    assert (await client.get(location, headers=TEXT)).text == "NotOK"


async def test_frames_of_one_part_too(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    files = [("frames", b"one"), ("frames", b"two")]
    accepted = await client.post(URL, files=files, headers=ASYNC)
    answer = (await fetched(client, accepted.headers["location"])).json()
    assert answer["inspection_id"] == accepted.json()["inspection_id"]
    assert len(answer["frames"]) == 2


async def test_as_text_what_is_pending_is_undefined(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    gate = inspector.outcome = Gate()
    accepted = await client.post(URL, content=b"jpeg", headers=ASYNC | TEXT)
    pending = await client.get(accepted.headers["location"], headers=TEXT)
    for response in (accepted, pending):
        assert (response.status_code, response.text) == (202, "Undefined")
    gate.open()
    assert (await fetched(client, accepted.headers["location"], headers=TEXT)).text == "NotOK"


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (TOO_LATE, 504, "deadline"),
        (BadPicture("corrupt_picture", "Cut."), 422, "corrupt_picture"),
        (BadPicture("unsupported_picture", "GIF."), 415, "unsupported_picture"),
        (NotReady("draining", 2.0), 504, "not_ready"),
        (RuntimeError("password=hunter2"), 504, "processing_failed"),
    ],
)
async def test_what_it_came_to_is_told_as_it_would_have_been_at_once(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    outcome: Inspection | Exception,
    status: int,
    code: str,
) -> None:
    gate = inspector.outcome = Gate(outcome)
    accepted = await client.post(URL, content=b"jpeg", headers=ASYNC)
    gate.open()
    answer = await fetched(client, accepted.headers["location"])
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "hunter2" not in answer.text
    if status == 504:
        assert answer.json()["inspection_id"] == accepted.json()["inspection_id"]
        word = await client.get(accepted.headers["location"], headers=TEXT)
        assert (word.status_code, word.text) == (504, "Undefined")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownRecipe("x", ["default"]), 404),
        (QueueFull(2.0), 429),
        (NotReady("draining", 2.0), 503),
    ],
)
async def test_what_is_not_accepted_is_told_at_once(
    client: httpx.AsyncClient, inspector: ScriptedInspector, error: Exception, status: int
) -> None:
    inspector.outcome = error
    response = await client.post(URL, content=b"jpeg", headers=ASYNC)
    assert response.status_code == status
    assert "location" not in response.headers


async def test_who_would_wait_a_little_gets_the_answer_if_it_is_there(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    headers = {"prefer": "respond-async, wait=30"}
    answer = await client.post(URL, content=b"jpeg", headers=headers)
    assert (answer.status_code, answer.json()["verdict"]) == (200, "NotOK")
    inspector.outcome = Gate()
    impatient = await client.post(URL, content=b"jpeg", headers={"prefer": "respond-async, wait=0"})
    assert impatient.status_code == 202


async def test_an_inspection_that_is_not_known(client: httpx.AsyncClient) -> None:
    for headers in ({}, TEXT):
        response = await client.get(f"{URL}/{'0' * 32}", headers=headers)
        assert (response.status_code, response.json()["code"]) == (404, "unknown_inspection")


async def test_bodies_that_wait_for_their_answer_keep_their_room(
    inspector: ScriptedInspector,
) -> None:
    gate = inspector.outcome = Gate()
    app = app_of(inspector, max_bytes=1000, max_open_bytes=1000)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        accepted = await client.post(URL, content=bytes(1000), headers=ASYNC)
        assert (await client.post(URL, content=b"x")).status_code == 429
        gate.open()
        await fetched(client, accepted.headers["location"])
        assert (await client.post(URL, content=b"x")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "wishes"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async;x=y , WAIT=10"], Preferences(respond_async=True, wait_s=10)),
        (["return=minimal", 'respond-async, wait="7"'], Preferences(True, 7)),
        (["wait=5, wait=9"], Preferences(wait_s=5)),
        (["respond-async, wait=soon"], Preferences(respond_async=True)),
        (["respond-async, wait=-1"], Preferences(respond_async=True)),
        (["respond-async, wait=99999999999999"], Preferences(respond_async=True)),
        (["respond-asynchronously"], Preferences()),
    ],
)
def test_preferences(headers: list[str], wishes: Preferences) -> None:
    assert Preferences.of(headers) == wishes


async def hang_up(inspector: ScriptedInspector, *headers: tuple[bytes, bytes]) -> list[str]:
    """A request whose caller closes the connection once it is being inspected; what was sent."""
    sent: list[str] = []
    body = [{"type": "http.request", "body": b"jpeg", "more_body": False}]

    async def receive() -> dict:
        if body:
            return body.pop()
        await inspector.asked.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message["type"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "query_string": b"",
        "headers": list(headers),
    }
    await app_of(inspector)(scope, receive, send)
    return sent


async def test_who_hangs_up_withdraws_his_picture(inspector: ScriptedInspector) -> None:
    gate = inspector.outcome = Gate()
    await hang_up(inspector)
    await gate.withdrawn.wait()
    assert inspector.refusals == ["client_gone"]


async def test_who_hangs_up_under_a_key_finds_the_answer_later(
    inspector: ScriptedInspector,
) -> None:
    gate = inspector.outcome = Gate()
    call = asyncio.create_task(hang_up(inspector, (b"idempotency-key", b"SN-1")))
    await inspector.asked.wait()
    for _ in range(100):  # in which a call without a key would have ended
        await asyncio.sleep(0)
    assert not call.done()
    gate.open()
    assert await call == ["http.response.start", "http.response.body"]
    assert not gate.withdrawn.is_set()
    assert inspector.refusals == []


async def test_who_need_not_wait_may_hang_up(inspector: ScriptedInspector) -> None:
    gate = inspector.outcome = Gate(OK)
    await hang_up(inspector, (b"prefer", b"respond-async"))
    assert not gate.withdrawn.is_set()
    gate.open()
