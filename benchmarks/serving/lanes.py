"""Connections that ask, as cheaply as Python can: raw bytes out, raw bytes back, read when the clock has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from serving import doors
from serving.http2 import Http2

Done = Callable[[bytes | None, str], None]
"""Called with the answer's bytes, or None and why there is none."""

STREAM_WINDOW = 32


class Lane(Protocol):
    """One client's connection."""

    @property
    def room(self) -> int:
        """How many more questions it takes now."""

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""

    async def close(self) -> None:
        """Hang up."""


class HttpLane(asyncio.Protocol):
    """HTTP/1.1, kept alive, one request at a time."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._transport: asyncio.Transport | None = None
        self._done: Done | None = None
        self._buffer = bytearray()
        self._body_at = -1
        self._ends_at = -1
        self._status = ""

    @classmethod
    async def open(cls, port: int, requests: list[bytes]) -> HttpLane:
        """Connected."""
        loop = asyncio.get_running_loop()
        _, lane = await loop.create_connection(lambda: cls(requests), "127.0.0.1", port)
        return lane

    @property
    def room(self) -> int:
        """Whether it is idle."""
        return int(self._done is None and self._transport is not None)

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""
        if self._transport is None:
            done(None, "connection closed")
            return
        self._done = done
        self._transport.write(self._requests[picture])

    async def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """By asyncio."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """By asyncio."""
        self._transport = None
        if self._done is not None:
            self._finish(None, f"connection closed{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """By asyncio: an answer, or a part of one."""
        self._buffer += data
        if self._body_at < 0 and not self._head():
            return
        if len(self._buffer) >= self._ends_at:
            body = bytes(self._buffer[self._body_at : self._ends_at])
            status = self._status
            del self._buffer[: self._ends_at]
            self._body_at = -1
            if status.startswith("2"):
                self._finish(body, "")
            else:
                self._finish(None, f"status {status}")

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).decode("latin-1").lower()
        self._status = head[9:12]
        _, found, length = head.partition("\r\ncontent-length:")
        if not found:
            raise RuntimeError(f"an answer without Content-Length is not read here: {head}")
        self._body_at = end + 4
        self._ends_at = self._body_at + int(length.split("\r\n", 1)[0])
        return True

    def _finish(self, body: bytes | None, why: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(body, why)


class _Call:
    """One unary call."""

    def __init__(self, lane: GrpcLane, done: Done) -> None:
        self._lane = lane
        self._done = done
        self._answer: bytes | None = None

    def message(self, content: bytes) -> None:
        """The answer; the call's end follows."""
        self._answer = content

    def ended(self, why: str) -> None:
        """With an answer it was OK, however its trailers are written."""
        self._lane.asked -= 1
        self._done(self._answer, "" if self._answer is not None else why or "no message")


class GrpcLane:
    """Unary calls over one connection."""

    def __init__(self, connection: Http2, method: str, requests: list[bytes], most: int) -> None:
        self._connection = connection
        self._method = method
        self._requests = requests
        self._most = most
        self.asked = 0

    @property
    def room(self) -> int:
        """How many more calls may be open."""
        return self._most - self.asked

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""
        self.asked += 1
        stream = self._connection.open(self._method, _Call(self, done))
        self._connection.send(stream, self._requests[picture], last=True)

    async def close(self) -> None:
        """Hang up."""
        self._connection.close()


class StreamLane:
    """One InspectStream."""

    def __init__(self, connection: Http2, method: str, requests: list[bytes], most: int) -> None:
        self._connection = connection
        self._requests = requests
        self._most = most
        self._sequence = 0
        self._waiting: dict[int, Done] = {}
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream = connection.open(method, self)
        connection.send(self._stream, doors.stream_opening(), last=False)

    async def opened(self) -> StreamLane:
        """Once the server has said that frames may come."""
        await self._opened
        return self

    @property
    def room(self) -> int:
        """How many more frames may be unanswered."""
        return self._most - len(self._waiting)

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""
        self._sequence += 1
        self._waiting[self._sequence] = done
        frame = doors.stream_frame(self._sequence, self._requests[picture])
        self._connection.send(self._stream, frame, last=False)

    async def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def message(self, content: bytes) -> None:
        """By the connection: that it is open, then answers."""
        if not self._opened.done():
            self._opened.set_result(None)
        else:
            self._waiting.pop(_sequence_of(content))(content, "")

    def ended(self, why: str) -> None:
        """By the connection: nothing more will be answered."""
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(why))
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(None, why or "stream ended")


def _sequence_of(message: bytes) -> int:
    """Of an InspectStreamResponse {2: answer {1: sequence}}, without decoding what is in it."""
    if message[0] != 0x12:
        raise RuntimeError("the stream said something else than an answer")
    at = 1
    while message[at] & 0x80:
        at += 1
    at += 2  # past the length's last byte and the key of the sequence
    sequence = shift = 0
    while True:
        sequence |= (message[at] & 0x7F) << shift
        if not message[at] & 0x80:
            return sequence
        shift += 7
        at += 1


async def open_lane(door: doors.Door, port: int, requests: list[bytes], most: int) -> Lane:
    """A connection by that door's transport; `most` questions at a time where it can have several."""
    if door.transport == "http":
        return await HttpLane.open(port, requests)
    connection = await Http2.connect(port)
    if door.transport == "grpc":
        return GrpcLane(connection, door.target, requests, most)
    window = min(most, STREAM_WINDOW)
    return await StreamLane(connection, door.target, requests, window).opened()
