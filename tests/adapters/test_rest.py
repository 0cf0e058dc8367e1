from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from rest_app import app_of
from scripted_inspector import NOT_OK, OK, TOO_LATE, ScriptedInspector

from flawline.application.inspector import Readiness
from flawline.core.errors import (
    BadPicture,
    InspectionError,
    InvalidRequest,
    NotReady,
    QueueFull,
    UnknownRecipe,
)
from flawline.core.values import Inspection

MAX_BYTES = 1000
URL = "/v1/inspections"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(
    inspector: ScriptedInspector, registry: CollectorRegistry
) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(inspector, registry, max_bytes=MAX_BYTES, timeout_s=0.2)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        yield client


def problem_of(response: httpx.Response) -> dict:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"].endswith(".")
    return problem


async def test_answer_has_the_documented_shape(client: httpx.AsyncClient) -> None:
    response = await client.post(URL, content=b"jpeg", headers={"content-type": "image/jpeg"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "inspection_id": NOT_OK.inspection_id,
        "verdict": "NotOK",
        "reasons": [{"code": "defect", "detail": "scratches with score 0.875."}],
        "detections": [
            {
                "class": "scratches",
                "score": 0.875,
                "box": {"x_min": 1.5, "y_min": 2.0, "x_max": 30.25, "y_max": 40.0},
            },
            {
                "class": "patches",
                "score": 0.5,
                "box": {"x_min": 0.0, "y_min": 0.0, "x_max": 10.0, "y_max": 12.0},
            },
        ],
        "frame": {"width": 200, "height": 100, "sha256": "cd" * 32},
        "line": "press-2",
        "part_id": "SN-1",
        "recipe": {"name": "default", "version": "1"},
        "model": {"name": "tiny", "version": "1.2.3", "sha256": "ab" * 32},
        "created_at": "2026-01-31T08:15:30.123Z",
        "processing_times_ms": {
            "queue": 1.0,
            "decode": 2.0,
            "preprocess": 3.0,
            "inference": 4.0,
            "postprocess": 5.0,
            "total": 15.0,
        },
    }


async def test_body_and_query_reach_the_inspector(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    query = "line=press-2&part_id=SN%201&recipe=default&min_score=0.25&deadline_ms=700"
    await client.post(f"{URL}?{query}", content=b"\x00jpeg\xff")
    await client.post(URL, content=b"")
    full, bare = inspector.requests
    assert full.picture == b"\x00jpeg\xff"
    assert (full.line, full.part_id, full.recipe) == ("press-2", "SN 1", "default")
    assert (full.min_score, full.deadline_ms) == (0.25, 700)
    assert (bare.picture, bare.line, bare.min_score, bare.deadline_ms) == (b"", None, None, None)


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [
        ("text/plain", True),
        ("text/plain; charset=utf-8", True),
        ("text/*", True),
        ("TEXT/PLAIN;Q=0.9, application/json;q=0.1", True),
        ("application/json", False),
        ("*/*", False),
        ("text/plain, application/json", False),  # equal wishes: JSON
        ("text/plain;q=0, */*", False),
        ("text/plain;q=high", False),  # not a number: not a wish
        ("image/png", False),
    ],
)
async def test_accept_chooses_between_word_and_json(
    client: httpx.AsyncClient, accept: str, is_text: bool
) -> None:
    response = await client.post(URL, content=b"jpeg", headers={"accept": accept})
    assert response.status_code == 200
    assert (response.text == "NotOK") is is_text
    kind = "text/plain; charset=utf-8" if is_text else "application/json"
    assert response.headers["content-type"] == kind


@pytest.mark.parametrize("accept", [["application/json;q=0.1", "text/plain"], ["", "text/plain"]])
async def test_several_lines_of_accept_are_one_list(
    client: httpx.AsyncClient, accept: list[str]
) -> None:
    lines = [("accept", line) for line in accept]
    assert (await client.post(URL, content=b"jpeg", headers=lines)).text == "NotOK"


@pytest.mark.parametrize(
    ("outcome", "status", "code", "reason", "retry_after"),
    [
        (TOO_LATE, 504, "deadline", "deadline", None),
        (QueueFull(1.2), 429, "queue_full", "queue_full", "2"),
        (QueueFull(0.0), 429, "queue_full", "queue_full", "1"),
        (NotReady("draining", 2.0), 503, "not_ready", "draining", "2"),
    ],
)
async def test_no_verdict_is_undefined_in_both_forms(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    outcome: object,
    status: int,
    code: str,
    reason: str,
    retry_after: str | None,
) -> None:
    inspector.outcome = outcome
    response = await client.post(URL, content=b"jpeg")
    problem = problem_of(response)
    assert response.status_code == status
    assert (problem["code"], problem["verdict"], problem["reason"]) == (code, "Undefined", reason)
    assert response.headers.get("retry-after") == retry_after
    expected_id = TOO_LATE.inspection_id if outcome is TOO_LATE else None
    assert problem.get("inspection_id") == expected_id

    word = await client.post(URL, content=b"jpeg", headers={"accept": "text/plain"})
    assert (word.status_code, word.text) == (status, "Undefined")
    assert word.headers.get("retry-after") == retry_after


@pytest.mark.parametrize(
    ("error", "closes"),
    [
        (NotReady("draining", 2.0), True),
        (NotReady("engine_stuck", 2.0), False),
        (QueueFull(1.2), False),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
async def test_a_server_that_stops_lets_go_of_connections_that_are_kept(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    error: InspectionError,
    closes: bool,
    accept: str,
) -> None:
    """So the next request goes to another server, and is not lost when this one ends."""
    inspector.outcome = error
    response = await client.post(URL, content=b"jpeg", headers={"accept": accept})
    assert (response.headers.get("connection") == "close") is closes


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadPicture("corrupt_picture", "Cut short."), 422, "corrupt_picture"),
        (BadPicture("too_many_pixels", "Too big."), 422, "too_many_pixels"),
        (BadPicture("too_many_bytes", "Too big."), 413, "too_many_bytes"),
        (BadPicture("unsupported_picture", "A GIF."), 415, "unsupported_picture"),
        (UnknownRecipe("x", ["default"]), 404, "unknown_recipe"),
        (InspectionError("Some later kind."), 422, "inspection_error"),
    ],
)
async def test_bad_requests_stay_problems_whatever_is_accepted(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    error: Exception,
    status: int,
    code: str,
) -> None:
    inspector.outcome = error
    for accept in ("*/*", "text/plain"):
        response = await client.post(URL, content=b"jpeg", headers={"accept": accept})
        problem = problem_of(response)
        assert (response.status_code, problem["code"]) == (status, code)
        assert problem["detail"] == str(error)
        assert "verdict" not in problem


async def test_invalid_request_names_the_field(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = InvalidRequest("line", "line is odd.")
    response = await client.post(URL, content=b"jpeg")
    assert response.status_code == 422
    assert problem_of(response)["errors"] == [{"field": "line", "detail": "line is odd."}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_score=high", "min_score"),
        ("deadline_ms=1.5", "deadline_ms"),
        ("min_scor=0.9", "min_scor"),  # a typing error must not pass for "no threshold given"
        ("line=a&line=b", "line"),
    ],
)
async def test_malformed_queries_are_named(
    client: httpx.AsyncClient, inspector: ScriptedInspector, query: str, field: str
) -> None:
    response = await client.post(f"{URL}?{query}", content=b"jpeg")
    assert response.status_code == 422
    assert [fault["field"] for fault in problem_of(response)["errors"]] == [field]
    assert inspector.requests == []
    assert inspector.refusals == ["invalid_request"]


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "image/jpeg",
        "IMAGE/PNG",
        "image/bmp",
        "image/x-ms-bmp",
        "image/tiff; page=1",
        "image/jpg",
        "image/pjpeg",
        "image/x-png",
        "image/x-bmp",
        "image/tif",
        "image/x-tiff",
        "application/octet-stream",
    ],
)
async def test_accepted_media_types(client: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    assert (await client.post(URL, content=b"x", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "-H 'Content-Type: image/jpeg'"),
        ({"content-type": "multipart/mixed; boundary=b"}, "multipart/form-data"),
        ({"content-type": "text/html"}, "'text/html'"),
        ({"content-type": "image/gif"}, "image/jpeg, image/png, image/bmp"),
        ({"content-type": "image/png", "content-encoding": "gzip"}, "'gzip'"),
    ],
)
async def test_other_media_types_are_415_and_say_what_to_send(
    client: httpx.AsyncClient, inspector: ScriptedInspector, headers: dict, says: str
) -> None:
    response = await client.post(URL, content=b"x", headers=headers)
    assert response.status_code == 415
    assert says in problem_of(response)["detail"]
    assert "image/jpeg" in response.headers["accept"]
    assert inspector.requests == []


async def test_body_is_refused_by_its_declared_length_unread(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    headers = {"content-length": str(MAX_BYTES + 1)}
    response = await client.post(URL, content=body(), headers=headers)
    assert response.status_code == 413
    assert problem_of(response)["code"] == "too_many_bytes"
    assert inspector.refusals == ["too_many_bytes"]  # counted although the Inspector never saw it


async def test_chunked_body_is_counted_while_it_is_read(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(100)

    response = await client.post(URL, content=endless())
    assert response.status_code == 413
    assert taken <= MAX_BYTES // 100 + 2
    assert inspector.requests == []


async def test_largest_body_passes(client: httpx.AsyncClient) -> None:
    assert (await client.post(URL, content=bytes(MAX_BYTES))).status_code == 200


async def test_a_body_that_never_comes_is_408(client: httpx.AsyncClient) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"begin"
        await asyncio.sleep(30)

    response = await client.post(URL, content=stalled())
    assert response.status_code == 408
    assert problem_of(response)["code"] == "body_too_slow"


async def test_a_body_that_is_still_arriving_when_draining_begins_gets_its_503(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"begin"
        inspector.ready = Readiness(ready=False, reason="draining")
        inspector.draining.set()
        await asyncio.sleep(30)

    response = await client.post(URL, content=slow())
    assert response.status_code == 503
    assert problem_of(response)["reason"] == "draining"
    assert response.headers["retry-after"] == "2"
    assert inspector.requests == []


async def test_when_not_ready_no_body_is_read(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    inspector.ready = Readiness(ready=False, reason="starting")
    response = await client.post(URL, content=body())
    assert response.status_code == 503
    assert problem_of(response)["reason"] == "starting"


async def test_bodies_share_their_memory(
    inspector: ScriptedInspector, registry: CollectorRegistry
) -> None:
    """Room for two of the largest: a third is told to wait, and is let in when one has left."""
    both_in, answering = asyncio.Event(), asyncio.Event()

    async def wait(_: object) -> Inspection:
        if len(inspector.requests) == 2:
            both_in.set()
        await answering.wait()
        return OK

    inspector.outcome = wait
    app = app_of(inspector, registry, max_bytes=MAX_BYTES, max_open_bytes=2 * MAX_BYTES)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        open_ones = [
            asyncio.create_task(client.post(URL, content=bytes([n]) * MAX_BYTES)) for n in (1, 2)
        ]
        await both_in.wait()
        refused = await client.post(URL, content=b"x")
        assert refused.status_code == 429
        assert problem_of(refused)["verdict"] == "Undefined"
        assert "FLAWLINE_MAX_OPEN_BYTES" in problem_of(refused)["detail"]
        assert refused.headers["retry-after"] == "1"
        assert inspector.refusals == ["queue_full"]
        answering.set()
        assert [r.status_code for r in await asyncio.gather(*open_ones)] == [200, 200]
        assert (await client.post(URL, content=b"x")).status_code == 200


@pytest.mark.parametrize("as_json", [False, True])
async def test_bodies_of_no_declared_length_take_the_room_that_they_need(
    inspector: ScriptedInspector, registry: CollectorRegistry, as_json: bool
) -> None:
    """As programs send them that stream: each counted as the largest that it could be."""
    together, all_in = 20, asyncio.Event()

    async def wait(_: object) -> Inspection:
        if len(inspector.requests) == together:
            all_in.set()
        await all_in.wait()
        return OK

    inspector.outcome = wait
    headers = {"content-type": "application/json" if as_json else "image/png"}
    content = b'{"picture": "eHh4"}' if as_json else b"xxx"

    async def streamed(body: bytes) -> AsyncIterator[bytes]:
        yield body

    app = app_of(inspector, registry, max_bytes=MAX_BYTES, max_open_bytes=4 * MAX_BYTES)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        asked = [
            client.post(URL, content=streamed(content), headers=headers) for _ in range(together)
        ]
        answers = await asyncio.wait_for(asyncio.gather(*asked), 10)
        assert [answer.status_code for answer in answers] == [200] * together


async def test_bodies_of_no_declared_length_are_refused_where_there_is_no_room(
    inspector: ScriptedInspector, registry: CollectorRegistry
) -> None:
    one_in, answering = asyncio.Event(), asyncio.Event()

    async def wait(_: object) -> Inspection:
        one_in.set()
        await answering.wait()
        return OK

    async def streamed(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(1)

    inspector.outcome = wait
    app = app_of(inspector, registry, max_bytes=MAX_BYTES, max_open_bytes=MAX_BYTES)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        first = asyncio.create_task(client.post(URL, content=streamed(MAX_BYTES - 3)))
        await one_in.wait()
        refused = await client.post(URL, content=streamed(4))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert inspector.refusals == ["queue_full"]
        taken = asyncio.create_task(client.post(URL, content=streamed(3)))
        answering.set()
        assert [(await answer).status_code for answer in (first, taken)] == [200, 200]


async def test_unexpected_errors_give_the_id_alone(
    client: httpx.AsyncClient, inspector: ScriptedInspector, caplog: pytest.LogCaptureFixture
) -> None:
    inspector.outcome = RuntimeError("password=hunter2")
    with caplog.at_level(logging.ERROR):
        response = await client.post(URL, content=b"jpeg")
    problem = problem_of(response)
    assert (response.status_code, problem["code"]) == (500, "internal_error")
    assert "hunter2" not in response.text
    assert "hunter2" in caplog.text
    assert problem["error_id"] in caplog.text
    word = await client.post(URL, content=b"jpeg", headers={"accept": "text/plain"})
    assert (word.status_code, word.text) == (500, "Undefined")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/docs/static/nothing.js", 404, "not_found"),
        ("POST", f"{URL}/", 404, "not_found"),
        ("GET", URL, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/openapi.json", 405, "method_not_allowed"),
    ],
)
async def test_errors_of_the_framework_are_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    problem = problem_of(response)
    assert (response.status_code, problem["code"]) == (status, code)
    assert ("No path ends in a slash." in problem["detail"]) is path.endswith("/")
    assert ("allow" in response.headers) is (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", URL, "POST"),
        ("HEAD", URL, "POST"),
        ("OPTIONS", f"{URL}/{'0' * 32}", "GET, HEAD"),
        ("PUT", "/openapi.json", "GET, HEAD"),
        ("PATCH", "/v1/aliases/stable", "GET, HEAD, PUT"),
    ],
)
async def test_a_wrong_method_is_told_all_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path",
    ["/healthz/live", "/healthz/ready", "/metrics", "/v1/models", "/openapi.json", "/nowhere"],
)
async def test_head_is_answered_as_get_without_the_body(
    client: httpx.AsyncClient, path: str
) -> None:
    full, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (full.status_code, b"")
    assert head.headers == full.headers


async def test_models(client: httpx.AsyncClient) -> None:
    (model,) = (await client.get("/v1/models")).json()["models"]
    assert model["name"] == "tiny"
    assert model["classes"] == ["scratches", "patches"]
    assert model["input"] == {"width": 64, "height": 64}
    assert model["score_thresholds"] == {"scratches": 0.3, "patches": 0.4}
    assert model["metrics"] == {"map50": 0.7}


async def test_probes(client: httpx.AsyncClient, inspector: ScriptedInspector) -> None:
    assert (await client.get("/healthz/live")).json() == {"live": True}
    ready = await client.get("/healthz/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    inspector.ready = Readiness(ready=True, degraded="queue_unavailable")
    ready = await client.get("/healthz/ready")
    assert ready.json() == {"ready": True, "degraded": "queue_unavailable"}
    inspector.ready = Readiness(ready=False, reason="draining")
    assert (await client.get("/healthz/live")).status_code == 200
    not_ready = await client.get("/healthz/ready")
    assert not_ready.status_code == 503
    assert problem_of(not_ready)["reason"] == "draining"
    assert not_ready.headers["retry-after"] == "1"


async def test_metrics_are_those_of_the_registry(
    client: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    Counter("flawline_things", "Things.", registry=registry).inc()
    plain = await client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert "flawline_things_total 1.0" in plain.text
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = await client.get("/metrics", headers=accept)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["foo", '"1.0.0"', "1.x", "99"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
async def test_metrics_of_a_version_that_is_none_are_shown_all_the_same(
    client: httpx.AsyncClient, registry: CollectorRegistry, kind: str, version: str
) -> None:
    Counter("flawline_things", "Things.", registry=registry).inc()
    shown = await client.get("/metrics", headers={"accept": f"{kind}; version={version}"})
    assert shown.status_code == 200
    assert "flawline_things_total 1.0" in shown.text


async def test_docs_need_no_network(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/static/{asset}" in page
        assert (await client.get(f"/docs/static/{asset}")).status_code == 200


async def test_openapi_document_is_complete(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    inspect = document["paths"][URL]["post"]
    assert set(inspect["responses"]) == {
        *("200", "202", "400", "403", "404", "408", "413", "415", "422", "429", "500", "503", "504")
    }
    fetch = document["paths"][f"{URL}/{{inspection_id}}"]["get"]
    assert set(fetch["responses"]) == {
        *("200", "202", "404", "413", "415", "422", "500", "503", "504")
    }
    assert set(inspect["requestBody"]["content"]) >= {
        *("image/jpeg", "application/octet-stream", "multipart/form-data", "application/json")
    }
    for operation in (inspect, fetch):
        for status, answer in operation["responses"].items():
            for media_type, content in answer["content"].items():
                assert {"example", "examples"} & set(content), (status, media_type)
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(document["components"]["schemas"])
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


async def test_documented_answer_is_what_the_code_makes(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    answer = document["paths"][URL]["post"]["responses"]["200"]["content"]["application/json"]
    made = (await client.post(URL, content=b"jpeg")).json()
    example = answer["examples"]["one picture"]["value"]
    assert _shape(example) == _shape({**made, "detections": made["detections"][:1]})


async def test_an_answer_without_part_id_says_null(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = OK
    answer = (await client.post(URL, content=b"jpeg")).json()
    assert (answer["part_id"], answer["detections"], answer["reasons"]) == (None, [], [])


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return type(value)


def _references(node: object) -> list[str]:
    text = json.dumps(node)
    return [part.split('"')[0] for part in text.split('"$ref": "')[1:]]


async def test_trace_context_and_idempotency_key_go_along(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    await client.post(
        URL, content=b"jpeg", headers={"traceparent": "00-ab-cd-01", "idempotency-key": "k"}
    )
    assert inspector.requests[0].traceparent == "00-ab-cd-01"
    assert inspector.requests[0].idempotency_key == "k"


async def test_two_idempotency_keys_are_refused(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    response = await client.post(URL, content=b"jpeg", headers=headers)
    assert (response.status_code, problem_of(response)["code"]) == (422, "invalid_request")
    assert inspector.requests == []
