"""Pictures in forms and in JSON, one or several of one part, and everything that can be wrong with them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from rest_app import app_of
from scripted_inspector import NOT_OK, OK, TOO_LATE, ScriptedInspector

from flawline.application.inspector import InspectionRequest
from flawline.core.errors import BadPicture, QueueFull
from flawline.core.values import Inspection, Verdict

URL = "/v1/inspections"
MAX_BYTES = 1000
MAX_FRAMES = 3


@pytest.fixture
async def client(inspector: ScriptedInspector) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(
        inspector, max_bytes=MAX_BYTES, max_frames=MAX_FRAMES, max_frames_bytes=2 * MAX_BYTES
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        yield client


def b64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def by_picture(**outcomes: Inspection | Exception):
    """Says of each picture what is told; pictures are the names."""

    async def inspect(request: InspectionRequest) -> Inspection:
        outcome = outcomes[request.picture.decode()]
        if isinstance(outcome, Exception):
            raise outcome
        return replace(outcome, part_id=request.part_id)

    return inspect


def frames_of(*pictures: bytes) -> list[tuple]:
    return [("frames", (f"{n}.jpg", picture)) for n, picture in enumerate(pictures)]


async def test_a_form_with_one_picture_is_answered_like_the_bare_picture(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    bare = await client.post(URL, content=b"\x00jpeg\xff")
    form = await client.post(URL, files={"picture": ("a.jpg", b"\x00jpeg\xff")})
    document = await client.post(URL, json={"picture": b64(b"\x00jpeg\xff")})
    assert form.json() == document.json() == bare.json()
    assert inspector.requests[0] == inspector.requests[1] == inspector.requests[2]


async def test_parameters_may_stand_beside_the_pictures(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    parameters = {"line": "press-2", "part_id": "SN 1", "min_score": 0.25, "deadline_ms": 700}
    fields = {name: str(value) for name, value in parameters.items()}
    await client.post(URL, data=fields, files={"picture": b"jpeg"})
    await client.post(URL, json={"picture": b64(b"jpeg"), **parameters, "recipe": None})
    await client.post(f"{URL}?line=press-2", json={"picture": b64(b"jpeg"), "part_id": "SN 1"})
    form, document, mixed = inspector.requests
    assert form == document == InspectionRequest(b"jpeg", **parameters)
    assert (mixed.line, mixed.part_id) == ("press-2", "SN 1")


@pytest.mark.parametrize("as_json", [False, True])
async def test_frames_of_one_part_get_one_verdict_and_each_its_own(
    client: httpx.AsyncClient, inspector: ScriptedInspector, as_json: bool
) -> None:
    inspector.outcome = by_picture(good=OK, flawed=NOT_OK)
    pictures = (b"good", b"flawed", b"good")
    if as_json:
        frames = [{"picture": b64(picture)} for picture in pictures]
        response = await client.post(URL, json={"frames": frames, "part_id": "SN-9"})
    else:
        response = await client.post(f"{URL}?part_id=SN-9", files=frames_of(*pictures))
    assert response.status_code == 200
    answer = response.json()
    assert (answer["verdict"], answer["part_id"], answer["line"]) == ("NotOK", "SN-9", "press-2")
    assert [frame["verdict"] for frame in answer["frames"]] == ["OK", "NotOK", "OK"]
    assert answer["frames"][1]["detections"][0]["class"] == "scratches"
    assert len(answer["inspection_id"]) == 32
    assert [request.picture for request in inspector.requests] == list(pictures)


async def test_one_frame_is_a_part_too(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, files=frames_of(b"jpeg"))).json()
    assert (answer["verdict"], len(answer["frames"])) == ("NotOK", 1)


async def test_the_word_is_that_of_the_part(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = by_picture(good=OK, flawed=NOT_OK, late=TOO_LATE)
    accept = {"accept": "text/plain"}
    for pictures, status, word in (
        ((b"good", b"good"), 200, "OK"),
        ((b"good", b"late"), 504, "Undefined"),
        ((b"late", b"flawed"), 200, "NotOK"),
    ):
        response = await client.post(URL, files=frames_of(*pictures), headers=accept)
        assert (response.status_code, response.text) == (status, word)


async def test_a_part_with_a_frame_unevaluated_is_undefined_and_says_what_each_came_to(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = by_picture(good=OK, late=TOO_LATE)
    response = await client.post(URL, files=frames_of(b"good", b"late", b"late"))
    problem = response.json()
    assert (response.status_code, problem["code"], problem["verdict"]) == (
        *(504, "deadline"),
        "Undefined",
    )
    assert problem["detail"] == "No verdict within 5 ms."
    assert [frame["verdict"] for frame in problem["frames"]] == ["OK", "Undefined", "Undefined"]
    assert problem["frames"][0]["part_id"] is None


async def test_a_bad_frame_refuses_the_part_and_is_named(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    bad = BadPicture("corrupt_picture", "It is cut short.")
    inspector.outcome = by_picture(good=OK, bad=bad)
    response = await client.post(URL, files=frames_of(b"good", b"bad"))
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "corrupt_picture")
    detail = "frames[1]: It is cut short."
    assert problem["errors"] == [{"field": "frames[1]", "detail": detail}]
    assert "verdict" not in problem


async def test_a_part_that_does_not_fit_is_busy(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = by_picture(good=OK, more=QueueFull(3.0))
    response = await client.post(URL, files=frames_of(b"good", b"more"))
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert response.json()["verdict"] == "Undefined"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"picture": "no base64!"}, 422, "picture"),
        ({"picture": "YQ"}, 422, "picture"),  # padding is missing
        ({"picture": "YWJj\nZGVm"}, 422, "picture"),
        ({"picture": "data:image/png;base64,YWJj"}, 422, "picture"),
        ({"picture": "ungünstig"}, 422, "picture"),
        ({"picture": 7}, 422, "picture"),
        ({"frames": [{"picture": "YWJj"}, {"picture": "?"}]}, 422, "frames[1].picture"),
        ({"frames": [{"picture": "YWJj"}, {}]}, 422, "frames[1].picture"),
        ({"frames": [{"picture": "YWJj", "line": "a"}]}, 422, "frames[0].line"),
        ({"frames": "YWJj"}, 422, "frames"),
        ({"frames": []}, 422, "frames"),
        ({}, 422, "picture"),
        ({"picture": "YWJj", "frames": [{"picture": "YWJj"}]}, 422, "picture"),
        ({"picture": "YWJj", "min_score": "high"}, 422, "min_score"),
        ({"picture": "YWJj", "lines": "a"}, 422, "lines"),
        ([], 422, "body"),
        ("YWJj", 422, "body"),
    ],
)
async def test_json_that_cannot_be_used_names_its_field(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    body: object,
    status: int,
    field: str,
) -> None:
    response = await client.post(URL, json=body)
    problem = response.json()
    assert response.status_code == status
    assert problem["code"] == "invalid_request"
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert "YWJj" not in response.text
    assert inspector.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"picture": "YWJj"', b"\xff\xfe", b"[" * 100_0, b'{"a":1}x']
)
async def test_what_is_no_json_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_body")


async def test_json_as_windows_writes_it_to_a_file(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    body = json.dumps({"picture": "YWJj", "line": "a"}).encode("utf-8-sig")
    response = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert [(request.picture, request.line) for request in inspector.requests] == [(b"abc", "a")]


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


def field(name: str, value: bytes, *more: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'.encode()
    return b"\r\n".join((head, *more, b"", value))


PICTURE = field("picture", b"jpeg")


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (form(PICTURE, end=b""), 400, "malformed_body", "last boundary"),
        (b"", 400, "malformed_body", "last boundary"),
        (b"jpeg", 400, "malformed_body", "malformed"),
        (form(b"no header at all"), 400, "malformed_body", "malformed"),
        (form(), 422, "invalid_request", "either one `picture`"),
        (form(field("line", b"a")), 422, "invalid_request", "either one `picture`"),
        (form(PICTURE, field("frames", b"x")), 422, "invalid_request", "either one `picture`"),
        (form(PICTURE, PICTURE), 422, "invalid_request", "more than once"),
        (form(b"X: y\r\n\r\nz"), 422, "invalid_request", "(no name)"),
        (form(PICTURE, field("lines", b"a")), 422, "invalid_request", "lines: there is no such"),
        (form(PICTURE, field("line", b"a"), field("line", b"a")), 422, "invalid_request", "line:"),
        (form(PICTURE, field("line", b"\xff")), 422, "invalid_request", "not UTF-8"),
        (form(PICTURE, field("line", b"a" * 1025)), 422, "invalid_request", "1024 bytes"),
        (form(PICTURE, field("min_score", b"high")), 422, "invalid_request", "min_score:"),
        (form(*[field("frames", b"x")] * 4), 413, "too_many_frames", "3 frames"),
        (form(field("picture", bytes(1001))), 413, "too_many_bytes", "picture is larger"),
        (
            form(field("frames", b"x"), field("frames", bytes(1001))),
            *(413, "too_many_bytes"),
            "frames[1] is larger",
        ),
        (
            form(field("picture", b"YWJj", b"Content-Transfer-Encoding: base64")),
            *(422, "invalid_request"),
            "'base64'",
        ),
    ],
)
async def test_forms_that_cannot_be_used(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    body: bytes,
    status: int,
    code: str,
    says: str,
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = await client.post(URL, content=body, headers=headers)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert says in problem["detail"]
    assert inspector.requests == []


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 300}"])
async def test_a_boundary_that_cannot_be_used(client: httpx.AsyncClient, boundary: str) -> None:
    headers = {"content-type": f"multipart/form-data{boundary}"}
    response = await client.post(URL, content=form(PICTURE), headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_body")


async def test_a_form_may_come_in_pieces_of_any_size(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    pictures = [bytes([n]) * 300 + b"\r\n--b" + bytes([n]) for n in range(3)]
    whole = form(*(field("frames", picture) for picture in pictures))

    async def by_one() -> AsyncIterator[bytes]:
        for place in range(len(whole)):
            yield whole[place : place + 1]

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert (await client.post(URL, content=by_one(), headers=headers)).status_code == 200
    assert [request.picture for request in inspector.requests] == pictures


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"picture": "YWJj", "min_score": "0,5"},
            "min_score: must be a number without quotes, as in 0.5.",
        ),
        (
            {"picture": "YWJj", "deadline_ms": "500"},
            "deadline_ms: must be a whole number, without quotes.",
        ),
        ({"frames": ["YWJj"]}, "frames[0]: must be an object, {...}."),
        (
            {"picture": "YWJj", "deadline_ms": 1.5},
            "deadline_ms: must be a whole number, without quotes.",
        ),
        ({"picture": "YWJj", "part_id": 4711}, "part_id: must be text."),
        ({"picture": 1}, "picture: must be a picture file as text in base64."),
        ({"frames": []}, "frames: must not be empty."),
    ],
)
async def test_what_is_of_another_kind_is_told_what_to_be(
    client: httpx.AsyncClient, body: dict, says: str
) -> None:
    response = await client.post(URL, json=body)
    assert (response.status_code, response.json()["detail"]) == (422, says)


async def test_a_parameter_in_query_and_body_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{URL}?line=a", json={"picture": "YWJj", "line": "b"})
    assert response.status_code == 422
    assert response.json()["errors"] == [{"field": "line", "detail": "given in query and body."}]


async def test_bodies_with_frames_have_a_bound_of_their_own(client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    for media_type in ("multipart/form-data; boundary=b", "application/json"):
        headers = {"content-type": media_type, "content-length": "1000000"}
        response = await client.post(URL, content=body(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "too_many_bytes")
        assert "FLAWLINE_MAX_FRAMES_BYTES" in response.json()["detail"]


async def test_large_json_is_read_beside_the_event_loop(inspector: ScriptedInspector) -> None:
    picture = bytes(range(256)) * 1000
    transport = httpx.ASGITransport(app_of(inspector, max_bytes=1_000_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        response = await client.post(
            URL,
            content=json.dumps({"picture": b64(picture)}),
            headers={"content-type": "application/json"},
        )
    assert response.status_code == 200
    assert inspector.requests[0].picture == picture


async def test_an_idempotency_key_is_given_to_each_frame_in_a_form_of_its_own(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    headers = {"idempotency-key": "k"}
    for _ in range(2):
        await client.post(URL, files=frames_of(b"one", b"two"), headers=headers)
    keys = [request.idempotency_key for request in inspector.requests]
    assert keys[:2] == keys[2:]
    assert len({"k", *keys}) == 3


async def test_an_idempotency_key_that_cannot_be_used_is_named(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "k" * 256}
    response = await client.post(URL, files=frames_of(b"one"), headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "idempotency_key"


def test_the_verdicts_of_scripts_are_what_these_tests_think() -> None:
    assert (OK.verdict, TOO_LATE.verdict) == (Verdict.OK, Verdict.UNDEFINED)


@pytest.mark.parametrize(
    "body",
    [
        '{"picture": "YQ==", "part_id": "A", "part_id": "B"}',
        '{"picture": "YQ==", "part_id": "A", "part\\u005fid": "B"}',
        '{"picture": "YQ==", "picture": "Yg=="}',
        '{"frames": [{"picture": "YQ==", "picture": "Yg=="}]}',
        '{"frames": [{"picture": "YQ=="}], "frames": [{"picture": "Yg=="}]}',
    ],
)
async def test_a_key_that_stands_twice_in_json_is_refused(
    client: httpx.AsyncClient, inspector: ScriptedInspector, body: str
) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post(URL, content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert "given more than once" in response.json()["errors"][0]["detail"]
    assert inspector.requests == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"frames": [{}] * 4000}, 422, "invalid_request"),
        ({"frames": [{}] * 20_000}, 400, "malformed_body"),
        ({"frames": [1] * 20_000}, 400, "malformed_body"),
        ({f"k{number}": 1 for number in range(5000)}, 400, "malformed_body"),
        ({f"k{number}": 1 for number in range(3000)}, 422, "invalid_request"),
        (
            {"picture": "YQ=="} | {"k" * 500 + f"{number}": 1 for number in range(60)},
            422,
            "invalid_request",
        ),
    ],
)
async def test_a_body_with_many_faults_is_refused_in_few_words(
    client: httpx.AsyncClient, body: dict, status: int, code: str
) -> None:
    response = await client.post(URL, json=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert len(response.content) < 10_000


async def test_many_keys_given_twice_are_refused_in_few_words(client: httpx.AsyncClient) -> None:
    twice = ", ".join(f'"part_id": "A", "{"k" * 500}{number}": 1' for number in range(40))
    body = f'{{"frames": [{{"picture": "YQ==", {twice}}}], {twice}}}'
    response = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert len(response.content) < 10_000


@pytest.mark.parametrize("name", ["line", "odd%ff", "k{number}"])
async def test_a_query_of_thousands_of_parameters_is_refused_in_few_words(
    client: httpx.AsyncClient, name: str
) -> None:
    query = "&".join(f"{name.format(number=number)}=" for number in range(5000))
    response = await client.post(f"{URL}?{query}", content=b"jpeg")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert "at most 64 parameters" in response.json()["detail"]
    assert len(response.content) < 1000


async def test_a_value_may_read_like_a_key_or_have_escapes(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    for part_id in ('a "part_id"', "Straße"):
        await client.post(URL, json={"picture": b64(b"jpeg"), "part_id": part_id})
        assert inspector.requests[-1].part_id == part_id
