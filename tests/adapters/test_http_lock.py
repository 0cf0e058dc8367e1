from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from rest_app import app_of
from scripted_inspector import ScriptedInspector

from flawline.adapters.http_lock import HttpLock
from flawline.core.lock import Lock

TOKEN = "0123456789abcdef-token"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}


def client_of(inspector: ScriptedInspector, lock: Lock) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(HttpLock(app_of(inspector), lock, inspector.refused))
    return httpx.AsyncClient(transport=transport, base_url="http://flawline")


@pytest.fixture
async def client(inspector: ScriptedInspector) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(inspector, Lock(TOKEN)) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models", "/metrics", "/", "/nowhere", "/v2/models/x", "/docs/", "/docs/statics"),
        *("/docs/static/../../metrics", "/docs/static/%2e%2e/%2e%2e/metrics", "//healthz/live"),
        "/healthz/live/",
    ],
)
async def test_what_is_locked(
    client: httpx.AsyncClient, inspector: ScriptedInspector, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="flawline"'
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (401, "unauthenticated")
    assert "Authorization: Bearer TOKEN" in problem["detail"]
    assert problem.get("error") == (problem["detail"] if path.startswith("/v2") else None)
    assert inspector.refusals == ["unauthenticated"]


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/docs", "/openapi.json"])
async def test_what_is_open(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_the_page_of_the_api_works_without_the_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs/static/swagger-ui.css")).status_code == 200


async def test_no_picture_of_a_stranger_is_read(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    answer = await client.post(
        "/v1/inspections", content=body(), headers={"authorization": "Bearer of-bad-news-only"}
    )
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge == 'Bearer realm="flawline", error="invalid_token"'
    assert inspector.requests == []


async def test_with_the_token_the_caller_has_a_name(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    assert (await client.get("/metrics", headers=WITH_TOKEN)).status_code == 200
    answer = await client.post("/v1/inspections", content=b"jpeg", headers=WITH_TOKEN)
    assert answer.status_code == 200
    assert inspector.requests[0].caller == Lock(TOKEN).caller_of(WITH_TOKEN["authorization"])


async def test_without_a_lock_nobody_has_a_name(inspector: ScriptedInspector) -> None:
    async with client_of(inspector, Lock(None)) as client:
        answer = await client.post("/v1/inspections", content=b"jpeg", headers=WITH_TOKEN)
    assert answer.status_code == 200
    assert inspector.requests[0].caller == ""


FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},  # another port of this machine is another origin
    {"sec-fetch-site": "cross-site", "origin": "http://flawline"},
    {"sec-fetch-site": "", "origin": "http://flawline"},
    {"origin": "https://example.org"},
    {"origin": "http://flawline:3000"},
    {"origin": "http://flawline.example.org"},
    {"origin": "null"},
]
CHANGES = [
    ("POST", "/v2/repository/models/tiny/load"),  # bodiless: a browser would ask nobody before
    ("POST", "/v2/repository/models/tiny/unload"),
    ("POST", "/v1/inspections"),
    ("POST", "/v2/models/tiny/infer"),
    ("PUT", "/v1/aliases/stable"),
    ("DELETE", "/v1/models/tiny/1.2.3"),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_page_of_another_site_changes_nothing(
    inspector: ScriptedInspector, token: str | None, headers: dict[str, str]
) -> None:
    async with client_of(inspector, Lock(token)) as client:
        for method, path in CHANGES:
            answer = await client.request(method, path, headers={**headers, **WITH_TOKEN})
            assert answer.status_code == 403, path
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert (problem["status"], problem["code"]) == (403, "foreign_page")
            assert "must hand on the Host" in problem["detail"]
            assert problem.get("error") == (problem["detail"] if path.startswith("/v2") else None)
    assert inspector.requests == []
    assert inspector.refusals == ["foreign_page"] * len(CHANGES)


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program
        {"sec-fetch-site": "same-origin", "origin": "http://behind-a-proxy"},
        {"sec-fetch-site": "none"},
        {"origin": "http://flawline"},
    ],
)
async def test_programs_and_our_own_pages_may(
    inspector: ScriptedInspector, headers: dict[str, str]
) -> None:
    async with client_of(inspector, Lock(None)) as client:
        answer = await client.post("/v1/inspections", content=b"jpeg", headers=headers)
    assert answer.status_code == 200
    assert len(inspector.requests) == 1


async def test_what_changes_nothing_may_be_asked_from_anywhere(
    inspector: ScriptedInspector,
) -> None:
    async with client_of(inspector, Lock(None)) as client:
        answer = await client.get("/healthz/ready", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200


async def test_a_page_without_the_token_hears_of_the_token_alone(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/inspections", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 401


async def test_the_document_says_so_of_everything_that_changes(client: httpx.AsyncClient) -> None:
    for path, operations in (await client.get("/openapi.json")).json()["paths"].items():
        for method, operation in operations.items():
            answer = operation["responses"].get("403")
            assert (answer is None) is (method == "get"), path
            assert answer is None or "another site" in answer["description"]
