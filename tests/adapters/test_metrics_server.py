"""The metrics of a worker, over real connections."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import httpx
import pytest
from certificates import make_certificate, needs_openssl
from prometheus_client import CollectorRegistry, Counter

from flawline.adapters.credential_files import TlsFiles
from flawline.adapters.metrics_server import MetricsServer, Probes
from flawline.adapters.prometheus import EngineMetrics
from flawline.core.lock import Lock

TOKEN = "0123456789abcdef-token"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}


WELL = Probes(live=lambda: True, fault=lambda: None)


def registry_with_a_counter() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("flawline_things", "Things.", registry=registry).inc()
    return registry


async def test_metrics_are_shown_to_those_with_the_token() -> None:
    server = MetricsServer(registry_with_a_counter(), Lock(TOKEN), WELL)
    port = await server.start("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}/metrics"
    async with httpx.AsyncClient() as client:
        refused = await client.get(url)
        shown = await client.get(url, headers=WITH_TOKEN)
    server.stop()
    assert (refused.status_code, "flawline" in refused.headers["www-authenticate"]) == (401, True)
    assert "flawline_things" not in refused.text
    assert "flawline_things_total 1.0" in shown.text


async def test_metrics_of_a_version_that_is_none_are_shown_all_the_same() -> None:
    server = MetricsServer(registry_with_a_counter(), Lock(None), WELL)
    port = await server.start("127.0.0.1", 0)
    asked = {"accept": "application/openmetrics-text; version=foo"}
    async with httpx.AsyncClient(headers=asked) as client:
        shown = await client.get(f"http://127.0.0.1:{port}/metrics")
    server.stop()
    assert shown.status_code == 200
    assert "flawline_things_total 1.0" in shown.text


async def test_who_asks_for_one_metric_is_shown_what_just_happened_too() -> None:
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    server = MetricsServer(registry, Lock(None), WELL)
    port = await server.start("127.0.0.1", 0)
    metrics.batch_ran(3, "idle")
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/metrics?name[]=flawline_batch_size_count"
        shown = await client.get(url)
    server.stop()
    assert "flawline_batch_size_count 1.0" in shown.text


async def test_without_a_lock_all_see_them() -> None:
    server = MetricsServer(registry_with_a_counter(), Lock(None), WELL)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient() as client:
        assert "flawline_things_total 1.0" in (await client.get(f"http://127.0.0.1:{port}")).text
    server.stop()


@needs_openssl
async def test_over_tls_a_peer_that_says_nothing_holds_up_nobody(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    files = TlsFiles.read(made.cert_path, made.key_path)
    server = MetricsServer(registry_with_a_counter(), Lock(TOKEN), WELL, files.context())
    port = await server.start("127.0.0.1", 0)
    trust = ssl.create_default_context(cafile=made.cert_path)
    with socket.create_connection(("127.0.0.1", port)):  # and no handshake
        async with httpx.AsyncClient(verify=trust) as client:
            shown = await client.get(f"https://127.0.0.1:{port}/metrics", headers=WITH_TOKEN)
    server.stop()
    assert "flawline_things_total 1.0" in shown.text


@pytest.mark.parametrize(
    ("probes", "live", "ready"),
    [
        (WELL, (200, {"live": True}), (200, {"ready": True})),
        (
            Probes(live=lambda: False, fault=lambda: "queue_unavailable"),
            (503, {"live": False}),
            (503, {"ready": False, "reason": "queue_unavailable"}),
        ),
    ],
)
async def test_probes_say_how_it_is_and_need_no_token(
    probes: Probes, live: tuple[int, dict[str, bool]], ready: tuple[int, dict[str, object]]
) -> None:
    server = MetricsServer(registry_with_a_counter(), Lock(TOKEN), probes)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/healthz/") as client:
        answers = [await client.get(name) for name in ("live", "ready")]
    server.stop()
    assert [(a.status_code, a.json()) for a in answers] == [live, ready]


async def test_stopping_what_did_not_start_is_harmless() -> None:
    MetricsServer(CollectorRegistry(), Lock(None), WELL).stop()


async def test_head_is_answered_as_get_without_the_body() -> None:
    server = MetricsServer(registry_with_a_counter(), Lock(None), WELL)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.head(path) for path in ("/healthz/live", "/metrics")]
        length = len((await client.get("/healthz/live")).content)
    server.stop()
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 2
    assert answers[0].headers.get_list("content-length") == [str(length)]
