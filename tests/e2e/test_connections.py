"""Many connections, and what is said on them before a body is sent."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from pictures import encoded, numbered
from server_process import ServerProcess

MANY = 1500
PICTURE = numbered(7)
OK = b"HTTP/1.1 200"
LIVE = b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many sockets as the test opens, and some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 200:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def answered(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    ]
    return head, await reader.readexactly(length)


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.timeout(120)
async def test_thousands_of_connections_are_kept_alive(
    server: ServerProcess, descriptors: None
) -> None:
    connections = [await opened(server.rest_port) for _ in range(MANY)]
    for _ in range(2):
        for _, writer in connections:
            writer.write(LIVE)
        for reader, _ in connections:
            head, body = await answered(reader)
            assert head.startswith(OK)
            assert body == b'{"live":true}'
    # Each is as good as the only one.
    reader, writer = connections[MANY // 2]
    head = f"POST /v1/inspections?deadline_ms=30000 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PICTURE)}"
    writer.write(head.encode() + b"\r\n\r\n" + PICTURE)
    _, body = await answered(reader)
    assert json.loads(body)["verdict"] == "NotOK"
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections))


def connected(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.rest_port), timeout=30)


def live_on(connection: socket.socket) -> bytes:
    """What comes first when one asks."""
    answer = b""
    with suppress(ConnectionError):  # refused, maybe, before it was asked
        connection.sendall(LIVE)
        while b'{"live":true}' not in answer and (chunk := connection.recv(10_000)):
            answer += chunk
    return answer


def test_who_comes_on_top_is_told_to_come_again_and_others_are_served(artifact: Path) -> None:
    server = ServerProcess(artifact, max_connections="3")
    with ExitStack() as open_ones:
        first, *others = [open_ones.enter_context(connected(server)) for _ in range(3)]
        assert all(live_on(connection).startswith(OK) for connection in (first, *others))
        with connected(server) as refused:
            answer = refused.recv(10_000)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in head.lower()
        assert json.loads(body)["code"] == "too_many_connections"
        assert all(live_on(connection).startswith(OK) for connection in (first, *others))
        first.close()
        for _ in range(200):  # until the server has seen it go
            with connected(server) as next_one:
                if live_on(next_one).startswith(OK):
                    break
            time.sleep(0.05)
        else:
            raise AssertionError("the place of the one that left stays taken")
    server.terminate()
    assert server.exit_code() == 0
    assert "Traceback" not in server.log


async def test_a_connection_over_grpc_ends_at_its_age_if_one_is_set(artifact: Path) -> None:
    server = ServerProcess(artifact, grpc_connection_age_s="0.3")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for _ in range(2):
            await asyncio.wait_for(channel.channel_ready(), 20)
            await asyncio.wait_for(
                channel.wait_for_state_change(grpc.ChannelConnectivity.READY), 20
            )
    server.terminate()
    assert server.exit_code() == 0


ENDLESS = {
    "a header": b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1000,
    "headers": b"GET /healthz/live HTTP/1.1\r\n" + b"X: x\r\n" * 100,
    "a path": b"GET /" + b"x" * 1000,
    "trailers": b"POST /v1/inspections HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\nx\r\n0\r\nX: x",
}


@pytest.mark.parametrize("begin", ENDLESS.values(), ids=ENDLESS)
def test_who_never_comes_to_a_body_is_cut_off(server: ServerProcess, begin: bytes) -> None:
    more = b"X: x\r\n" if begin.endswith(b"\n") else b"x"
    with connected(server) as connection:
        connection.sendall(begin)
        # Far more than the sockets in between hold: whoever sent all of it was listened to.
        with pytest.raises(ConnectionError):
            connection.sendall(more * (64_000_000 // len(more)))
    with connected(server) as another:
        assert live_on(another).startswith(OK)


def test_a_head_that_is_too_large_is_told_so(server: ServerProcess) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nX: ")
        answer = b""
        while not answer:  # a little at a time, so that nothing is under way when it is cut off
            connection.sendall(b"x" * 1000)
            connection.settimeout(0.01)
            with suppress(TimeoutError):
                answer = connection.recv(10_000)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "head_too_large"


def asking_first(server: ServerProcess, *headers: str, query: str = "") -> socket.socket:
    """A connection on which a request waits for leave to send its body."""
    lines = [
        f"POST /v1/inspections{query} HTTP/1.1",
        *("Host: x", "Expect: 100-continue", f"Content-Length: {len(PICTURE)}", *headers),
    ]
    connection = connected(server)
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    return connection


def test_a_body_is_asked_for_once_its_head_is_good(server: ServerProcess) -> None:
    with asking_first(server, query="?deadline_ms=30000") as connection:
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(PICTURE)
        answer = connection.recv(10_000)
        assert answer.startswith(OK)
        assert b"connection: close" not in answer.lower()


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        (["Content-Type: text/html"], "", b"415"),
        (["Content-Encoding: gzip"], "", b"415"),
        ([], "?min_score=high", b"422"),
        ([], "?nonsense=1", b"422"),
    ],
)
def test_a_bad_head_is_answered_before_the_body_and_the_connection_closed(
    server: ServerProcess, headers: list[str], query: str, status: bytes
) -> None:
    with asking_first(server, *headers, query=query) as connection:
        answer = b""
        while chunk := connection.recv(10_000):  # until the server has closed it
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1


def test_who_hangs_up_withdraws_his_picture(server: ServerProcess) -> None:
    """The server counts it as gone once it has cancelled the inspection."""
    slow = encoded(np.full((4000, 4000), 200, dtype=np.uint8))  # to decode, not to send
    head = (
        f"POST /v1/inspections?deadline_ms=30000 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(slow)}"
    )
    for _ in range(20):
        waiting = [connected(server) for _ in range(10)]
        for connection in waiting:
            connection.sendall(head.encode() + b"\r\n\r\n" + slow)
        for connection in waiting:
            connection.close()
        metrics = httpx.get(f"{server.url}/metrics", timeout=30).text
        if 'flawline_rejected_total{reason="client_gone"}' in metrics:
            return
    raise AssertionError("nobody was missed")


def test_who_hangs_up_under_a_key_is_inspected_all_the_same(server: ServerProcess) -> None:
    def inspected() -> float:
        metrics = httpx.get(f"{server.url}/metrics", timeout=30).text.splitlines()
        counts = [line for line in metrics if line.startswith("flawline_inspections_total{")]
        return sum(float(count.rpartition(" ")[2]) for count in counts)

    before = inspected()
    for number in range(10):
        with connected(server) as connection:
            head = (
                "POST /v1/inspections?deadline_ms=30000 HTTP/1.1\r\nHost: x\r\n"
                f"Idempotency-Key: gone-{number}\r\nContent-Length: {len(PICTURE)}"
            )
            connection.sendall(head.encode() + b"\r\n\r\n" + PICTURE)
    ends_s = time.monotonic() + 30
    while inspected() < before + 10:
        assert time.monotonic() < ends_s, f"{inspected() - before} of 10 were inspected"
