"""The routes about models, on real LoadedModels with fake engines behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fakes import FakeEngine, settle
from model_rig import ModelRig
from pictures import quarters
from rest_app import app_of
from scripted_inspector import ScriptedInspector

STABLE = "/v1/aliases/stable"
ROLL_BACK = f"{STABLE}/rollback"
HALF_BRIGHT = quarters((170, 0, 0, 0))


def client_of(rig: ModelRig) -> httpx.AsyncClient:
    app = app_of(rig.inspector, models=rig.models, max_bytes=100_000, timeout_s=0.2)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://flawline")


@pytest.fixture
async def rig() -> AsyncIterator[ModelRig]:
    async with ModelRig() as rig:
        yield rig


@pytest.fixture
async def client(rig: ModelRig) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(rig) as client:
        yield client


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()


async def test_from_loading_to_rolling_back(client: httpx.AsyncClient) -> None:
    loaded = await client.put("/v1/models/tiny/2")
    assert loaded.status_code == 201
    assert (loaded.json()["version"], loaded.json()["stable"]) == ("2", False)
    assert (await client.put("/v1/models/tiny/2")).status_code == 200

    named = await client.post(
        "/v1/inspections", params={"model": "tiny", "model_version": "2"}, content=HALF_BRIGHT
    )
    assert (named.json()["model"]["version"], named.json()["verdict"]) == ("2", "OK")
    unnamed = await client.post("/v1/inspections", content=HALF_BRIGHT)
    assert (unnamed.json()["model"]["version"], unnamed.json()["verdict"]) == ("1", "NotOK")

    switched = (await client.put(STABLE, json={"name": "tiny", "version": "2"})).json()
    assert (switched["stable"]["version"], switched["previous"]["version"]) == ("2", "1")
    models = (await client.get("/v1/models")).json()["models"]
    assert [(m["version"], m["stable"]) for m in models] == [("2", True), ("1", False)]

    back = await client.post(ROLL_BACK, json={"from": {"name": "tiny", "version": "2"}})
    assert back.json()["stable"]["version"] == "1"
    assert back.json()["previous"] is None
    assert back.json() == (await client.get(STABLE)).json()
    repeat = await client.post(ROLL_BACK, json={"from": {"name": "tiny", "version": "2"}})
    assert problem_of(repeat, 409)["code"] == "stable_changed"

    assert (await client.delete("/v1/models/tiny/2")).status_code == 204
    assert problem_of(await client.get("/v1/models/tiny/2"), 404)["code"] == "unknown_model"
    assert (await client.get("/v1/models/tiny/1")).json()["stable"] is True


async def test_without_a_version_the_latest_becomes_stable(client: httpx.AsyncClient) -> None:
    assert (await client.put(STABLE, json={"name": "tiny"})).json()["stable"]["version"] == "4"


async def test_artifacts_say_which_of_them_are_loaded(client: httpx.AsyncClient) -> None:
    artifacts = (await client.get("/v1/artifacts")).json()["artifacts"]
    assert [a["file"] for a in artifacts][:2] == ["tiny-1.onnx", "tiny-2.onnx"]
    assert [a["loaded"] for a in artifacts] == [True, False, False, False]
    assert artifacts[0]["model"] == {"name": "tiny", "version": "1", "sha256": "1" * 64}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/v1/models/tiny/9", None, 404, "unknown_model"),
        ("PUT", "/v1/models/..%2F..%2Fetc/passwd", None, 404, "not_found"),
        ("DELETE", "/v1/models/tiny/9", None, 404, "unknown_model"),
        ("DELETE", "/v1/models/tiny/1", None, 409, "model_is_stable"),
        ("DELETE", f"/v1/models/{'x' * 65}/1", None, 422, "invalid_request"),
        ("PUT", STABLE, {"name": "other"}, 404, "unknown_model"),
        ("PUT", STABLE, {"nam": "tiny"}, 422, "invalid_request"),
        ("PUT", STABLE, {"name": "tiny", "version": 2}, 422, "invalid_request"),
        ("PUT", STABLE, ["tiny"], 422, "invalid_request"),
        ("PUT", STABLE, {"name": "x" * 5000}, 413, "too_many_bytes"),
        ("POST", ROLL_BACK, {}, 422, "invalid_request"),
        ("POST", ROLL_BACK, {"from": {"name": "tiny"}}, 422, "invalid_request"),
        ("POST", ROLL_BACK, {"from": {"name": "tiny", "version": "1"}}, 409, "no_earlier_model"),
    ],
)
async def test_what_cannot_be_done_is_said(
    client: httpx.AsyncClient, method: str, path: str, body: object, status: int, code: str
) -> None:
    before = (await client.get("/v1/models")).json()
    response = await client.request(method, path, json=body)
    assert problem_of(response, status)["code"] == code
    assert (await client.get("/v1/models")).json() == before


async def test_a_fault_in_a_body_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post(ROLL_BACK, json={"from": {"name": "tiny", "x": 1}})
    problem = problem_of(response, 422)
    assert [fault["field"] for fault in problem["errors"]] == ["from.version", "from.x"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_page_that_the_browser_would_let_through_changes_nothing(
    client: httpx.AsyncClient, rig: ModelRig, media_type: str
) -> None:
    """What a foreign page may send without being asked has one of these types."""
    await rig.models.switch("tiny", "2")
    content = json.dumps({"from": {"name": "tiny", "version": "2"}})
    headers = {"content-type": media_type} if media_type else {}
    response = await client.post(ROLL_BACK, content=content, headers=headers)
    assert problem_of(response, 415)["code"] == "unsupported_media_type"
    assert rig.stable == "2"


async def test_json_as_windows_writes_it_to_a_file(client: httpx.AsyncClient) -> None:
    body = json.dumps({"name": "tiny", "version": "2"}).encode("utf-8-sig")
    switched = await client.put(STABLE, content=body, headers={"content-type": "application/json"})
    assert switched.json()["stable"]["version"] == "2"


async def test_json_that_is_none(client: httpx.AsyncClient) -> None:
    response = await client.put(
        STABLE, content=b"{\xff", headers={"content-type": "application/json"}
    )
    problem = problem_of(response, 422)
    assert problem["errors"][0]["field"] == "body"


async def test_an_unusable_artifact_is_explained(client: httpx.AsyncClient, rig: ModelRig) -> None:
    rig.next_engine = FakeEngine()
    rig.next_engine.load_error = MemoryError("secret inner detail")
    response = await client.put("/v1/models/tiny/2")
    problem = problem_of(response, 422)
    assert (problem["code"], problem["reason"]) == ("unusable_artifact", "load_failed")
    assert "secret" not in response.text


async def test_while_a_model_loads_pictures_are_inspected_and_other_changes_refused(
    client: httpx.AsyncClient, rig: ModelRig
) -> None:
    rig.next_engine = slow = FakeEngine()
    slow.hold_loading()
    loading = asyncio.create_task(client.put("/v1/models/tiny/2"))
    await settle()
    answer = await client.post("/v1/inspections", content=HALF_BRIGHT)
    assert answer.json()["model"]["version"] == "1"
    busy = await client.put(STABLE, json={"name": "tiny", "version": "3"})
    assert problem_of(busy, 409)["code"] == "change_in_progress"
    assert busy.headers["retry-after"] == "2"
    slow.release_loading()
    assert (await loading).status_code == 201


async def test_where_nobody_allowed_it_models_are_shown_and_not_changed() -> None:
    async with ModelRig(allowed=False) as rig, client_of(rig) as client:
        refused = problem_of(await client.put("/v1/models/tiny/2"), 403)
        assert refused["code"] == "model_control_off"
        assert (await client.get("/v1/models")).is_success


async def test_scaled_out_models_change_with_the_workers(inspector: ScriptedInspector) -> None:
    transport = httpx.ASGITransport(app_of(inspector))
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        for response in (
            await client.put("/v1/models/tiny/2"),
            await client.delete("/v1/models/tiny/1.2.3"),
            await client.put(STABLE, json={"name": "tiny"}),
            await client.post(ROLL_BACK, json={"from": {"name": "tiny", "version": "1.2.3"}}),
        ):
            problem = problem_of(response, 409)
            assert problem["code"] == "models_rolled_out"
            assert "roll out workers" in problem["detail"]
        assert (await client.get("/v1/artifacts")).json() == {"artifacts": []}


async def test_the_document_tells_every_answer(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    paths = document["paths"]
    change = {"403", "404", "409", "422", "503"}
    body = {"400", "408", "413", "415"}
    assert set(paths["/v1/models/{name}/{version}"]["put"]["responses"]) == change | {"200", "201"}
    assert set(paths["/v1/models/{name}/{version}"]["delete"]["responses"]) == change | {"204"}
    assert set(paths[STABLE]["put"]["responses"]) == change | body | {"200"}
    assert set(paths[ROLL_BACK]["post"]["responses"]) == change | body | {"200"}
    schema = paths[ROLL_BACK]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["from"]
    assert set(schema["properties"]["from"]["properties"]) == {"name", "version"}
    assert "$ref" not in json.dumps(schema)
    assert "HTTPValidationError" not in json.dumps(document)
