"""What goes past the framework's router is answered as the route itself, which the document describes, would."""

from __future__ import annotations

import httpx
import pytest
from rest_app import app_of
from scripted_inspector import ScriptedInspector

from flawline.adapters.rest.short_way import ShortWay
from flawline.core.errors import NotReady, QueueFull

URL = "/v1/inspections"


async def answer(
    inspector: ScriptedInspector, query: str, headers: dict[str, str], *, routed: bool
) -> httpx.Response:
    app = app_of(inspector)
    short = [layer for layer in app.user_middleware if layer.cls is ShortWay]
    assert len(short) == 1
    if routed:
        app.user_middleware.remove(short[0])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        return await client.post(URL + query, content=b"jpeg", headers=headers)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        pytest.param("", {}, 200, id="nothing asked"),
        pytest.param("?line=press-2&part_id=SN%200042&min_score=0.4", {}, 200, id="asked"),
        pytest.param("?part_id=&line=", {}, 200, id="empty"),
        pytest.param("", {"idempotency-key": "a key", "accept": "text/plain"}, 200, id="headers"),
        pytest.param("?deadline_ms=soon&min_score=high", {}, 422, id="wrong types"),
        pytest.param("?deadline_ms=1.5", {}, 422, id="not whole"),
        pytest.param("?lien=press-2", {}, 422, id="unknown"),
        pytest.param("?line=a&line=b", {}, 422, id="repeated"),
        pytest.param("?part_id=Stra%C3%9Fe+1", {}, 200, id="UTF-8"),
        pytest.param("?part_id=Stra%DFe", {}, 422, id="latin-1"),
        pytest.param("?part%DFid=1", {}, 422, id="a name in latin-1"),
        pytest.param("", {"content-type": "text/html"}, 415, id="refused here"),
    ],
)
async def test_both_ways_answer_alike(
    inspector: ScriptedInspector, query: str, headers: dict[str, str], status: int
) -> None:
    headers = {"content-type": "image/jpeg"} | headers
    short, routed = [
        await answer(inspector, query, headers, routed=routed) for routed in (False, True)
    ]
    assert short.status_code == routed.status_code == status
    assert short.content == routed.content
    assert short.headers == routed.headers
    if status == 200:
        first, second = inspector.requests
        assert first == second


@pytest.mark.parametrize("error", [QueueFull(3.0), NotReady("starting", 2.0), RuntimeError("odd")])
async def test_both_ways_fail_alike(inspector: ScriptedInspector, error: Exception) -> None:
    inspector.outcome = error
    headers = {"content-type": "image/jpeg"}
    short, routed = [
        await answer(inspector, "", headers, routed=routed) for routed in (False, True)
    ]
    assert short.status_code == routed.status_code >= 429
    assert short.headers.get("retry-after") == routed.headers.get("retry-after")
    assert short.json() | {"detail": "", "error_id": ""} == routed.json() | {
        "detail": "",
        "error_id": "",
    }
