"""A server with a token and a certificate, as strangers and as friends find it."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from certificates import Certificate, make_certificate, needs_openssl
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pictures import numbered
from server_process import ServerProcess, run_flawline

from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

pytestmark = needs_openssl

TOKEN = "correct-horse-battery-staple"
AUTHORIZATION = f"Bearer {TOKEN}"
PATIENT_MS = 30_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("credentials")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    return make_certificate(folder)


@pytest.fixture(scope="module")
def credentials(folder: Path, certificate: Certificate) -> dict[str, str]:
    token_file = folder / "token"
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o600)
    return {
        "token_file": str(token_file),
        "tls_cert_file": str(certificate.cert_path),
        "tls_key_file": str(certificate.key_path),
    }


@pytest.fixture(scope="module")
def locked(artifact: Path, credentials: dict[str, str]) -> Iterator[ServerProcess]:
    server = ServerProcess(artifact, **credentials)
    yield server
    server.terminate()
    assert server.exit_code() == 0, server.log
    assert "Traceback" not in server.log
    assert TOKEN not in server.log


@pytest.fixture
def https(locked: ServerProcess, certificate: Certificate) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=certificate.cert_path)
    with httpx.Client(base_url=locked.url, verify=trust, timeout=40) as client:
        yield client


@pytest.fixture
def channel(locked: ServerProcess, certificate: Certificate) -> Iterator[grpc.Channel]:
    trust = grpc.ssl_channel_credentials(certificate.cert_path.read_bytes())
    with grpc.secure_channel(locked.grpc_target, trust) as channel:
        yield channel


def test_rest_asks_for_the_token(https: httpx.Client) -> None:
    query = {"deadline_ms": PATIENT_MS}
    stranger = https.post("/v1/inspections", params=query, content=numbered(1))
    assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthenticated")
    friend = https.post(
        "/v1/inspections",
        params=query,
        content=numbered(1),
        headers={"authorization": AUTHORIZATION},
    )
    assert friend.json()["verdict"] == "NotOK"
    assert https.get("/metrics").status_code == 401
    metrics = https.get("/metrics", headers={"authorization": AUTHORIZATION}).text
    assert 'flawline_rejected_total{reason="unauthenticated"}' in metrics
    (expires,) = re.findall(
        r"^flawline_certificate_expires_timestamp_seconds (.+)$", metrics, re.MULTILINE
    )
    assert 0 < float(expires) - time.time() <= 2 * 86_400


def test_grpc_asks_for_the_token(channel: grpc.Channel) -> None:
    stub = pb_grpc.InspectionServiceStub(channel)
    request = pb.InspectRequest(picture=numbered(1), deadline_ms=PATIENT_MS)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Inspect(request)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    answer = stub.Inspect(request, metadata=(("authorization", AUTHORIZATION),))
    assert answer.inspection.verdict == pb.VERDICT_NOT_OK


def test_probes_ask_for_nothing(https: httpx.Client, channel: grpc.Channel) -> None:
    assert https.get("/healthz/ready").json() == {"ready": True}
    check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert check.status == health_pb2.HealthCheckResponse.SERVING


def test_a_container_hears_over_tls_that_it_is_ready(
    locked: ServerProcess, credentials: dict[str, str]
) -> None:
    said = run_flawline("health", port=str(locked.rest_port), **credentials)
    assert (said.returncode, said.stdout.strip()) == (0, '{"ready": true}'), said


def test_nothing_is_said_in_plain(locked: ServerProcess) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(locked.url.replace("https", "http") + "/healthz/live", timeout=10)
    with grpc.insecure_channel(locked.grpc_target) as plain:
        health = health_pb2_grpc.HealthStub(plain)
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    # gRPC's core would add lines of its own for who fails at TLS.
    assert [line for line in locked.log.splitlines() if not line.startswith("{")] == []


@pytest.mark.parametrize(
    ("content", "says"), [("short", "holds no token"), (None, "cannot be read")]
)
def test_a_token_that_cannot_serve_stops_the_start(
    artifact: Path, tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    for command in (("check",), ("serve", "--port", "0", "--grpc-port", "0")):
        ended = run_flawline(*command, artifact=str(artifact), token_file=str(path))
        assert ended.returncode != 0
        assert says in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_check_says_what_guards_the_door(artifact: Path, credentials: dict[str, str]) -> None:
    ended = run_flawline("check", artifact=str(artifact), **credentials)
    assert ended.returncode == 0, ended.stdout
    assert f"door: token in {credentials['token_file']}; TLS with " in ended.stdout
    assert TOKEN not in ended.stdout + ended.stderr
