"""The whole service as a process: same answers by every way, and it goes on whatever it is sent."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from pictures import encoded, expected_score, numbered, slow_to_decode
from prometheus_client.parser import text_string_to_metric_families
from server_process import ServerProcess, run_flawline

from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

CONCURRENT = 200
PATIENT_MS = 30_000
WAITING = 20


def flaws_by_rest(answer: dict) -> list[tuple]:
    return [(d["class"], d["score"], *d["box"].values()) for d in answer["detections"]]


def flaws_by_grpc(answer: pb.Inspection) -> list[tuple]:
    return [
        (d.label, d.score, d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max)
        for d in answer.detections
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number:03}.png" for number in range(CONCURRENT)]
    for number, path in enumerate(paths):
        path.write_bytes(numbered(number))
    return paths


@pytest.fixture(scope="module")
def offline(files: list[Path], artifact: Path) -> dict[str, dict]:
    """What `flawline inspect` says of each file."""
    done = run_flawline("inspect", "--json", files[0].parent, artifact=str(artifact))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {answer["path"]: answer for answer in answers}


async def test_concurrent_pictures_each_get_their_own_answer(
    server: ServerProcess, files: list[Path], offline: dict[str, dict]
) -> None:
    limits = httpx.Limits(max_connections=CONCURRENT)
    async with (
        httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client,
        grpc.aio.insecure_channel(server.grpc_target) as channel,
    ):
        stub = pb_grpc.InspectionServiceStub(channel)

        async def by_rest(path: Path, picture: bytes) -> dict:
            query = {"part_id": path.stem, "deadline_ms": PATIENT_MS}
            response = await client.post("/v1/inspections", params=query, content=picture)
            assert response.status_code == 200, response.text
            return response.json()

        async def by_grpc(path: Path, picture: bytes) -> pb.Inspection:
            request = pb.InspectRequest(picture=picture, part_id=path.stem, deadline_ms=PATIENT_MS)
            return (await stub.Inspect(request)).inspection

        pictures = [numbered(number) for number in range(CONCURRENT)]
        rest = await asyncio.gather(*map(by_rest, files, pictures))
        grpc_answers = await asyncio.gather(*map(by_grpc, files, pictures))

    for number, (path, one, other) in enumerate(zip(files, rest, grpc_answers, strict=True)):
        expected = offline[str(path)]
        assert flaws_by_rest(one) == flaws_by_grpc(other) == flaws_by_rest(expected)
        assert one["detections"][0]["score"] == pytest.approx(expected_score(number), abs=2e-4)
        assert one["part_id"] == other.part_id == path.stem
        assert one["frame"]["sha256"] == other.frame.sha256 == expected["frame"]["sha256"]
        assert one["verdict"] == expected["verdict"] == "NotOK"
        assert other.verdict == pb.VERDICT_NOT_OK
    assert len({answer["inspection_id"] for answer in rest}) == CONCURRENT


async def test_metrics_count_by_declared_line_and_can_be_parsed(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        for line in ("press-1", "someone-elses-line"):
            params = {"line": line}
            await client.post("/v1/inspections", params=params, content=numbered(0))
        text = (await client.get("/metrics")).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    lines = {s.labels["line"] for s in samples if s.name == "flawline_inspections_total"}
    assert {"press-1", "other"} <= lines
    assert "someone-elses-line" not in text


def _huge_png() -> bytes:
    """20,000 x 20,000 by its header; some 50 kB."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS, limit = None, Image.MAX_IMAGE_PIXELS
    try:
        return encoded(np.zeros((20_000, 20_000), dtype=np.uint8))
    finally:
        Image.MAX_IMAGE_PIXELS = limit


GOOD = numbered(3)
NOISE = encoded(np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8))
CORRUPT = NOISE[:200] + bytes(200) + NOISE[400:]
JPEG = {"content-type": "image/jpeg"}
BAD_PICTURES = [
    pytest.param(b"", 422, "empty_picture", id="empty"),
    pytest.param(NOISE[: len(NOISE) // 2], 422, "corrupt_picture", id="truncated"),
    pytest.param(CORRUPT, 422, "corrupt_picture", id="corrupt"),
    pytest.param(bytes(1000), 422, "not_a_picture", id="not a picture"),
    pytest.param(b"Dear server, this is text.\n" * 9, 422, "not_a_picture", id="a text"),
    pytest.param(encoded(np.zeros((1, 1), np.uint8)), 422, "picture_too_small", id="1x1"),
    pytest.param(_huge_png, 422, "too_many_pixels", id="20000x20000"),
    pytest.param(
        encoded(np.zeros((64, 64), np.uint8), "GIF"), 415, "unsupported_picture", id="GIF"
    ),
    pytest.param(GOOD + bytes(2_000_001 - len(GOOD)), 413, "too_many_bytes", id="too many bytes"),
    pytest.param(GOOD + bytes(3_500_000), 413, "too_many_bytes", id="far too many bytes"),
]


@pytest.mark.parametrize(("picture", "status", "code"), BAD_PICTURES)
async def test_bad_pictures_are_refused_and_serving_goes_on(
    server: ServerProcess, picture: bytes, status: int, code: str
) -> None:
    picture = picture() if callable(picture) else picture
    async with (
        httpx.AsyncClient(base_url=server.url) as client,
        grpc.aio.insecure_channel(server.grpc_target) as channel,
    ):
        refused = await client.post("/v1/inspections", content=picture, headers=JPEG)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        stub = pb_grpc.InspectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Inspect(pb.InspectRequest(picture=picture))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details()
        good = await client.post("/v1/inspections", content=GOOD, headers=JPEG)
        assert good.json()["verdict"] == "NotOK"


@pytest.mark.parametrize(
    ("query", "fields", "status", "grpc_status"),
    [
        ("recipe=nosuch", {"recipe": "nosuch"}, 404, grpc.StatusCode.NOT_FOUND),
        ("line=p%C3%A4%2F..", {"line": "pä/.."}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("line=", {"line": " "}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("part_id=a%0Ab", {"part_id": "a\nb"}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("part_id=", {"part_id": ""}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("min_score=1.5", {"min_score": 1.5}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("min_score=nan", {"min_score": float("nan")}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("deadline_ms=0", {"deadline_ms": 0}, 422, grpc.StatusCode.INVALID_ARGUMENT),
        ("deadline_ms=60001", {"deadline_ms": 60_001}, 422, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_bad_parameters_are_refused_alike(
    server: ServerProcess, query: str, fields: dict, status: int, grpc_status: grpc.StatusCode
) -> None:
    async with (
        httpx.AsyncClient(base_url=server.url) as client,
        grpc.aio.insecure_channel(server.grpc_target) as channel,
    ):
        refused = await client.post(f"/v1/inspections?{query}", content=GOOD)
        assert refused.status_code == status
        assert refused.json()["detail"]
        stub = pb_grpc.InspectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Inspect(pb.InspectRequest(picture=GOOD, **fields))
        assert caught.value.code() == grpc_status


def test_the_log_names_the_model_by_name_and_version(server: ServerProcess) -> None:
    assert '"event": "ready"' in server.log
    assert '"model": "tiny 1.2.3"' in server.log


def test_wrong_media_type_as_curl_sends_it_says_what_to_add(server: ServerProcess) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    refused = httpx.post(f"{server.url}/v1/inspections", content=GOOD, headers=headers)
    assert refused.status_code == 415
    assert "-H 'Content-Type: image/jpeg'" in refused.json()["detail"]


def test_too_large_a_body_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    """A client that asks first (Expect) never sends the body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=10)
    connection.putrequest("POST", "/v1/inspections")
    connection.putheader("Content-Length", "5000000000")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_many_bytes")
    connection.close()


def test_too_large_chunked_bodies_get_their_answer(server: ServerProcess) -> None:
    def chunks():
        for _ in range(100):
            yield bytes(100_000)

    answer = httpx.post(f"{server.url}/v1/inspections", content=chunks(), timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_bytes")


def test_clients_that_break_off_cost_nothing(server: ServerProcess) -> None:
    head = b"POST /v1/inspections HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
            connection.sendall(head)
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    good = httpx.post(f"{server.url}/v1/inspections", content=GOOD)
    assert good.json()["verdict"] == "NotOK"


async def test_sigterm_under_load_answers_what_was_accepted(artifact: Path) -> None:
    server = ServerProcess(artifact, drain_timeout_s="60")
    # Small to send, slow to decode: there is work left when the signal comes.
    slow = slow_to_decode()
    count = 40
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        grpc.aio.insecure_channel(server.grpc_target) as channel,
    ):
        stub = pb_grpc.InspectionServiceStub(channel)
        request = pb.InspectRequest(picture=slow, deadline_ms=PATIENT_MS)
        query = {"deadline_ms": PATIENT_MS}
        rest = [
            asyncio.create_task(client.post("/v1/inspections", params=query, content=slow))
            for _ in range(count)
        ]
        calls = [stub.Inspect(request) for _ in range(count // 4)]
        await _until_work_waits(client)
        done_before = sum(task.done() for task in rest)
        server.terminate()
        answers = await asyncio.gather(*rest)
        grpc_codes = [await call.code() for call in calls]
    # Nothing is lost: each got its verdict, or was told that it was not accepted.
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= WAITING > done_before
    assert all(a.json()["verdict"] == ("NotOK" if a.is_success else "Undefined") for a in answers)
    assert set(grpc_codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert await asyncio.to_thread(server.exit_code) == 0, server.log
    assert "Traceback" not in server.log
    assert "drain_timeout" not in server.log


async def _until_work_waits(client: httpx.AsyncClient) -> None:
    """Until many pictures have arrived; few can be done by then."""
    for _ in range(500):
        text = (await client.get("/metrics")).text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        if sum(depth.value for depth in families["flawline_queue_depth"].samples) >= WAITING:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no work piled up")
