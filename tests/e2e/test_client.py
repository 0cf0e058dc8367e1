"""The client library against real server processes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import make_certificate, needs_openssl
from pictures import expected_score, numbered
from server_process import ServerProcess, flawline_environment

from flawline.client import Frame, Inspection, NotLetInError, Verdict
from flawline.client.camera import AsyncCamera
from flawline.client.grpc import AsyncGrpcClient, GrpcClient
from flawline.client.rest import AsyncRestClient, RestClient

ROOT = Path(__file__).parents[2]
PATIENT_S = 40.0
TOKEN = "correct-horse-battery-staple"


def frame(number: int) -> Frame:
    return Frame(numbered(number), line="press-1", part_id=str(number))


def check(number: int, answer: Inspection) -> None:
    assert answer.verdict is Verdict.NOT_OK, answer.reasons
    assert (answer.part_id, answer.line) == (str(number), "press-1")
    assert answer.detections[0].score == pytest.approx(expected_score(number), abs=2e-4)


async def test_many_at_a_time_each_get_their_own_answer(server: ServerProcess) -> None:
    async with (
        AsyncRestClient(server.url, deadline_s=PATIENT_S) as rest,
        AsyncGrpcClient(server.grpc_target, deadline_s=PATIENT_S) as grpc,
        AsyncCamera(server.grpc_target, deadline_s=PATIENT_S) as camera,
    ):
        asking = [ask.inspect(frame(n)) for n in range(60) for ask in (rest, grpc, camera)]
        answers = await asyncio.gather(*asking)
    for number in range(60):
        for answer in answers[3 * number : 3 * number + 3]:
            check(number, answer)


def test_ordinary_code_gets_them_too(server: ServerProcess) -> None:
    with (
        RestClient(server.url, deadline_s=PATIENT_S) as rest,
        GrpcClient(server.grpc_target, deadline_s=PATIENT_S) as grpc,
    ):
        for number in range(5):
            check(number, rest.inspect(frame(number)))
            check(number, grpc.inspect(frame(number)))


@needs_openssl
def test_the_token_and_the_certificate_open_every_door(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    server = ServerProcess(
        artifact,
        token_file=str(token_file),
        tls_cert_file=str(certificate.cert_path),
        tls_key_file=str(certificate.key_path),
    )
    trust = {"ca_file": certificate.cert_path, "deadline_s": PATIENT_S}

    async def film() -> Inspection:
        async with AsyncCamera(server.grpc_target, token=TOKEN, **trust) as camera:
            return await camera.inspect(frame(3))

    with (
        RestClient(server.url, token=TOKEN, **trust) as rest,
        GrpcClient(server.grpc_target, token=TOKEN, **trust) as grpc,
        GrpcClient(server.grpc_target, **trust) as stranger,
    ):
        check(1, rest.inspect(frame(1)))
        check(2, grpc.inspect(frame(2)))
        check(3, asyncio.run(film()))
        with pytest.raises(NotLetInError):
            stranger.inspect(frame(4))
    # As where the plant's authority is among those that the system trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert_path))
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    with (
        RestClient(server.url, token=TOKEN, deadline_s=PATIENT_S) as rest,
        GrpcClient(server.grpc_target, token=TOKEN, tls=True, deadline_s=PATIENT_S) as grpc,
    ):
        check(5, rest.inspect(frame(5)))
        check(6, grpc.inspect(frame(6)))
    server.terminate()
    assert server.exit_code() == 0, server.log


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["kill", "term"])
def test_a_camera_loses_nothing_when_its_server_restarts(artifact: Path, how: str) -> None:
    script = ROOT / "benchmarks" / "camera_stream.py"
    arguments = ["--seconds", "4", "--rate", "50", "--deadline", "60", "--restart", how]
    done = subprocess.run(
        [sys.executable, str(script), *arguments, "--artifact", str(artifact)],
        env=flawline_environment(),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"frames sent: +200 ", done.stdout)
    assert re.search(r"answered once: +200 \(to the wrong frame: 0\)", done.stdout)
    assert re.search(r"Undefined: +0 ", done.stdout)
    assert re.search(r"connections 2", done.stdout)
    at_most, at_least = (
        int(re.search(rf"{words} (\d+)", done.stdout)[1]) for words in ("at most", "at least")
    )
    assert at_least <= at_most <= 32, "no more than a window of frames was unanswered"
    if how == "term":
        assert at_least == 0, "a server that drains answers what it has inspected"
