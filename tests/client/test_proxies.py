"""Answers that the service of today does not give: a proxy's, and those of a newer service."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flawline.client import Frame, FrameInfo, Inspection, RefusedError, Verdict
from flawline.client.grpc import AsyncGrpcClient
from flawline.client.rest import AsyncRestClient

FRAME = Frame(b"jpeg", part_id="SN-1")
ANSWER: dict[str, Any] = {
    "inspection_id": "id-1",
    "verdict": "OK",
    "reasons": [],
    "detections": [],
    "frame": {"width": 2, "height": 1, "sha256": "cd"},
    "line": "default",
    "part_id": "SN-1",
    "recipe": {"name": "default", "version": "1"},
    "model": {"name": "tiny", "version": "1", "sha256": "ab"},
    "created_at": "2026-01-01T00:00:00Z",
    "processing_times_ms": {"total": 1.0},
}


def http(status: str, body: bytes = b"", head: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


def as_json(status: str, body: Any) -> bytes:
    return http(status, json.dumps(body).encode())


def changed(*path: str, to: Any) -> dict[str, Any]:
    answer = copy.deepcopy(ANSWER)
    where = answer
    for name in path[:-1]:
        where = where[name]
    where[path[-1]] = to
    return answer


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Callable[..., Awaitable[Inspection]]]:
    """Asks one that gives these answers one after the other, the last one again and again."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncRestClient(f"http://127.0.0.1:{port}", deadline_s=20.0) as client:
            yield client.inspect


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", b'{"a":1}', "Content-Encoding: gzip\r\n"),
        http("200 OK", b"[" * 100_000 + b"]" * 100_000),
        http("200 OK", b"<html>"),
        as_json("200 OK", [1]),
        as_json("200 OK", changed("created_at", to=None)),
        as_json("200 OK", changed("frame", to=[1])),
        as_json("504 Gateway Timeout", [1]),
        http("408 Request Timeout"),
        http("425 Too Early"),
    ],
    ids=["coding", "deep", "page", "list", "null", "frame", "gateway", "408", "425"],
)
async def test_what_is_no_answer_is_asked_again(answer: bytes) -> None:
    async with answering(answer, as_json("200 OK", ANSWER)) as ask:
        assert (await ask(FRAME)).verdict is Verdict.OK


async def test_a_proxy_that_never_answers_otherwise_leaves_it_undefined() -> None:
    # Told to wait longer than the deadline: however slow this machine is, it comes in no try that is under way.
    never = http("408 Request Timeout", head="Retry-After: 60\r\n")
    async with answering(http("408 Request Timeout"), never) as ask:
        answer = await ask(FRAME)
    assert (answer.verdict, answer.reasons[0].code) == (Verdict.UNDEFINED, "http_408")


@pytest.mark.parametrize(
    ("stranger", "told"),
    [
        (http("302 Found", head="Location: https://login/x?secret\r\n"), "302.*'https://login/x'"),
        (http("308 Permanent Redirect"), "redirection"),
        (http("200 OK", b"<html>", "Content-Type: Text/HTML; charset=utf-8\r\n"), "page of HTML"),
        (http("511 Network Authentication Required"), "a login first"),
    ],
    ids=["302", "308", "page", "511"],
)
async def test_what_only_a_stranger_answers_is_told_at_once(stranger: bytes, told: str) -> None:
    async with answering(stranger, as_json("200 OK", ANSWER)) as ask:
        with pytest.raises(RefusedError, match=f"{told}.*check the url.*proxy") as caught:
            await ask(FRAME)
    assert caught.value.code == "not_the_service"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("stranger", "status"),
    [
        (http("400 Bad Request"), 400),
        (http("301 Moved Permanently"), 301),
        # HTTP/2: SETTINGS, and headers of the first stream that hold a status and no more.
        (b"\0\0\0\4\0\0\0\0\0\0\0\5\1\5\0\0\0\1\x08\x03302", 302),
    ],
    ids=["REST", "301", "302"],
)
async def test_what_speaks_no_grpc_is_told_at_once(stranger: bytes, status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        settings, headers = (
            (stranger[:9], stranger[9:]) if stranger[:1] == b"\0" else (stranger, b"")
        )
        writer.write(settings)
        if headers:
            await reader.readuntil(b"/flawline.v1.InspectionService/Inspect")
            writer.write(headers)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncGrpcClient(f"127.0.0.1:{port}", deadline_s=20.0) as client:
            with pytest.raises(RefusedError, match=f"{status}.*check the target's host") as caught:
                await client.inspect(FRAME)
    assert caught.value.code == "not_the_service"


@pytest.mark.parametrize(
    "errors", [{"Name": ["bad"]}, ["bad"], "bad", [], None, [{"field": 7}], [{"message": "bad"}]]
)
async def test_errors_of_another_form_are_a_refusal_all_the_same(errors: Any) -> None:
    async with answering(as_json("400 Bad Request", {"errors": errors})) as ask:
        with pytest.raises(RefusedError) as caught:
            await ask(FRAME)
    assert (caught.value.code, caught.value.field) == ("http_400", None)


async def test_what_a_newer_service_adds_is_left_out() -> None:
    newer = changed("frame", "bits", to=8) | {"hints": [1]}
    for part in ("recipe", "model", "processing_times_ms"):
        newer[part] = newer[part] | {"new": 1}
    found = {"class": "scratches", "score": 0.5, "mask": "", "box": {"angle": 1.0}}
    found["box"] |= {"x_min": 0, "y_min": 1, "x_max": 2, "y_max": 3}
    newer["detections"] = [found]
    async with answering(as_json("200 OK", newer)) as ask:
        answer = await ask(FRAME)
    assert (answer.verdict, answer.frame) == (Verdict.OK, FrameInfo(2, 1, "cd"))
    assert answer.detections[0].box.y_max == 3


async def test_a_verdict_of_a_newer_service_is_none_that_a_program_of_today_could_act_on() -> None:
    async with answering(as_json("200 OK", changed("verdict", to="Rework"))) as ask:
        answer = await ask(FRAME)
    assert (answer.verdict, answer.inspection_id) == (Verdict.UNDEFINED, "id-1")
