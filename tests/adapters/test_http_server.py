"""The HTTP server's own bounds, on real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flawline.adapters import http_server
from flawline.adapters.http_server import HttpServer

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT_S = 30.0


@asynccontextmanager
async def connected(
    served: ASGIApp, age_s: float = 0.0, max_connections: int = 8
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    server = HttpServer(served, 1.0, connection_age_s=age_s, max_connections=max_connections)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield reader, writer
    writer.close()
    await server.stop()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("here")(scope, receive, send)


def _has_both() -> bool:
    """A kernel may know IPv6 and have no address of it, as in many containers."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return socket.has_dualstack_ipv6()
    except OSError:
        return False


@pytest.mark.parametrize("asked", ["::1", "127.0.0.1"])
async def test_every_address_is_heard_on_be_it_of_ipv4_or_ipv6(asked: str) -> None:
    if not _has_both():
        pytest.skip("there is no IPv6 address here, or no socket that hears both")
    server = HttpServer(app, 1.0)
    port = await server.start("::", 0)
    reader, writer = await asyncio.open_connection(asked, port)
    writer.write(ASK)
    assert await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S)
    writer.close()
    await server.stop()


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        ("_KEEP_ALIVE_S", b""),
        ("_KEEP_ALIVE_S", ASK),
        ("_HEAD_TIMEOUT_S", b"GET / HTTP/1.1\r\nHost"),
        ("_HEAD_TIMEOUT_S", ASK + b"GET / HTTP/1.1\r\nHost"),
    ],
)
async def test_nobody_holds_a_connection_by_silence(
    monkeypatch: pytest.MonkeyPatch, limit: str, sent: bytes
) -> None:
    monkeypatch.setattr(http_server, limit, 0.1)
    async with connected(app) as (reader, writer):
        writer.write(sent)
        answers = await asyncio.wait_for(reader.read(), WAIT_S)  # until the server has closed it
        assert answers.count(b"HTTP/1.1 200") == sent.count(ASK)


async def test_a_connection_ends_with_an_answer_once_it_is_of_age() -> None:
    answers: list[bytes] = []
    async with connected(app, age_s=0.5) as (reader, writer):
        while not answers or b"connection: close" not in answers[-1]:
            writer.write(ASK)
            answers.append(await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S))
            await asyncio.sleep(0.01)
        assert len(answers) > 1
        assert answers[-1].startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""


@pytest.mark.parametrize("rest", [b"x", b"xx"])
async def test_nobody_holds_a_connection_by_a_body_that_is_answered_already(
    monkeypatch: pytest.MonkeyPatch, rest: bytes
) -> None:
    monkeypatch.setattr(http_server, "_KEEP_ALIVE_S", 0.3)
    async with connected(app) as (reader, writer):
        writer.write(_ask(body=b"xxx")[:-2])
        await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S)
        writer.write(rest)
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""


async def test_a_head_in_time_is_not_held_against_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head's clock stops with the head; a body of many chunks is larger than any head may be."""
    monkeypatch.setattr(http_server, "_HEAD_TIMEOUT_S", 0.2)
    sizes: list[int] = []

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await PlainTextResponse("here")(scope, receive, send)

    async with connected(counting) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            writer.write(b"1\r\nx\r\n" * 10_000)
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), WAIT_S)).startswith(b"HTTP/1.1 200")
        assert sum(sizes) == 40_000


def _ask(*, path: int = 1, header: int = 1, body: bytes = b"") -> bytes:
    head = f"POST /{'p' * path} HTTP/1.1\r\nHost: x\r\nX-Long: {'h' * header}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("body", [b"", b"picture"])
@pytest.mark.parametrize(
    ("pieces", "sizes"),
    [
        (1, {"header": 66_000}),
        (1, {"header": 131_072}),
        (1, {"header": 200_000}),
        (1, {"path": 65_600}),
        (1, {"path": 40_000, "header": 40_000}),
        (2, {"header": 100_000}),
        (2, {"path": 66_000}),
    ],
)
async def test_a_head_that_is_too_large_is_refused_however_it_arrives(
    sizes: dict[str, int], body: bytes, pieces: int
) -> None:
    request = _ask(**sizes, body=body)
    length = -(-len(request) // pieces)
    parts = [request[start : start + length] for start in range(0, len(request), length)]
    _assert_refused_once(await _said_to(parts), b"431", b"head_too_large")


async def _said_to(parts: Sequence[bytes], max_connections: int = 8) -> bytes:
    """All that a server says to one who sends these, a moment apart, and then waits."""
    async with connected(app, max_connections=max_connections) as (reader, writer):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01 if len(parts) > 1 else 0)
        return await asyncio.wait_for(reader.read(), WAIT_S)


def _assert_refused_once(answer: bytes, status: bytes, code: bytes) -> None:
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1
    assert b"application/problem+json" in answer
    assert b'"code": "' + code + b'"' in answer


UNREADABLE = {
    "a space": b"GET /a path HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "gRPC": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a fragment": b"GET /?part_id=A#1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "lines of LF alone": b"GET / HTTP/1.1\nHost: x\n\n",
    "a chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_http_is_told_what_is_wrong_with_it(sent: bytes) -> None:
    _assert_refused_once(await _said_to([sent]), b"400", b"malformed_request")


@pytest.mark.parametrize("size", [8, 8_000_000])
async def test_a_body_of_no_length_is_told_to_say_it(size: int) -> None:
    head = b"POST /v1/inspections HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n\r\n"
    _assert_refused_once(await _said_to([head + bytes(size)]), b"411", b"length_required")


async def test_what_follows_a_running_request_later_is_not_taken_for_its_body() -> None:
    """Or a client were told that its request lacks a length, which was understood and runs."""
    running, end = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        running.set()
        await end.wait()
        await app(scope, receive, send)

    async with connected(slow) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(running.wait(), WAIT_S)
        writer.write(b"\x00 no request\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        end.set()


async def test_who_posts_nothing_need_not_say_how_long_it_is() -> None:
    async with connected(app) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" in await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S)


@pytest.mark.parametrize(
    ("sent", "places", "status", "code"),
    [
        (_ask(), 0, b"503", b"too_many_connections"),
        (_ask(header=66_000), 8, b"431", b"head_too_large"),
        (UNREADABLE["two lengths"], 8, b"400", b"malformed_request"),
    ],
)
async def test_who_sends_all_of_it_before_he_reads_hears_why_it_was_in_vain(
    sent: bytes, places: int, status: bytes, code: bytes
) -> None:
    _assert_refused_once(await _said_to([sent + bytes(8_000_000)], places), status, code)


async def test_nobody_is_bid_farewell_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_LINGER_S", 0.1)
    async with connected(app, max_connections=0) as (reader, writer):
        assert b"503" in await asyncio.wait_for(reader.read(), WAIT_S)
        for _ in range(3000):
            writer.write(b"x")
            await asyncio.sleep(0.01)
            if writer.is_closing():
                return
        pytest.fail("still open")


async def test_nothing_is_said_of_a_request_in_the_place_of_an_earlier_one() -> None:
    asked = asyncio.Event()

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with connected(busy) as (reader, writer):
        writer.write(_ask())
        await asyncio.wait_for(asked.wait(), WAIT_S)
        writer.write(UNREADABLE["no HTTP"])
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""


@pytest.mark.parametrize("sizes", [{"header": 65_000}, {"path": 65_000}])
async def test_a_head_of_64_kib_is_served(sizes: dict[str, int]) -> None:
    async with connected(app) as (reader, writer):
        for _ in range(2):
            writer.write(_ask(**sizes, body=b"picture"))
            assert (await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S)).startswith(
                b"HTTP/1.1 200"
            )


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await PlainTextResponse(b"%b<%b>" % (scope["method"].encode(), body))(scope, receive, send)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
WHOLE = POST + OFFER + b"Content-Length: 7\r\n\r\npicture"
CHUNKED = POST + OFFER + b"Transfer-Encoding: chunked\r\n\r\n4\r\npict\r\n3\r\nure\r\n0\r\n\r\n"
BARE = b"GET / HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"
USUAL = POST + b"Content-Length: 5\r\n\r\nusual"


@pytest.mark.parametrize("pieces", [1, 2, 400])
async def test_an_offer_of_another_protocol_is_declined_and_costs_no_body(pieces: int) -> None:
    """Java's client offers HTTP/2 with every request."""
    async with connected(echo) as (reader, writer):
        for asked, answer in (
            (WHOLE, b"POST<picture>"),
            (CHUNKED, b"POST<picture>"),
            (BARE, b"GET<>"),
            (USUAL, b"POST<usual>"),
        ):
            for start in range(0, len(asked), step := -(-len(asked) // pieces)):
                writer.write(asked[start : start + step])
                await asyncio.sleep(0)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await asyncio.wait_for(reader.readuntil(b">"), WAIT_S) == answer
        writer.write(WHOLE + CHUNKED + BARE + USUAL)  # pipelined
        for answer in (b"POST<picture>", b"POST<picture>", b"GET<>", b"POST<usual>"):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
            assert await asyncio.wait_for(reader.readuntil(b">"), WAIT_S) == answer


@pytest.mark.parametrize("length", [0, 8_000_000])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_who_sends_and_then_reads_gets_his_answer(version: bytes, length: int) -> None:
    """Of a picture that is refused by its head; the reset that came instead said nothing of the reason."""
    head = b"POST / HTTP/%b\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    answer = await _said_to([head % (version, length) + bytes(length)])
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"here")


async def test_stopping_waits_for_no_body_that_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server.unread, "_LINGER_S", 2 * WAIT_S)
    server = HttpServer(app, 2 * WAIT_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
    writer.write(b"POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 9\r\n\r\nbod")
    await asyncio.wait_for(reader.readuntil(b"here"), WAIT_S)
    await asyncio.wait_for(server.stop(), WAIT_S)
    writer.close()


# As on Windows, where uvicorn parses with h11. Pictures on one connection, each larger than a head may be.
WITHOUT_HTTPTOOLS = """
import asyncio, http.client, sys
sys.modules["httptools"] = None
from flawline.adapters.http_server import HttpServer

async def app(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"%6d" % size})

def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for size in (200_000, 50_000, 50_000, 300_000):
        connection.request("POST", "/", bytes(size))
        print(int(connection.getresponse().read()))

async def main():
    server = HttpServer(app, 1.0)
    await asyncio.to_thread(ask, await server.start("127.0.0.1", 0))
    await server.stop()

asyncio.run(main())
"""


async def test_pictures_pass_where_there_is_no_httptools() -> None:
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", WITHOUT_HTTPTOOLS], capture_output=True, text=True
    )
    assert ran.stdout.split() == ["200000", "50000", "50000", "300000"], ran.stderr
