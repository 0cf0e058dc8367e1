"""Connections that ask, as cheaply as Python can: raw bytes out, raw bytes back, read when the clock has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import grpc

from serving import doors

Done = Callable[[bytes | None, str], None]
"""Called with the answer's bytes, or None and why there is none."""

STREAM_WINDOW = 32
_UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each lane
]


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


class GrpcLane:
    """Unary calls over one HTTP/2 connection."""

    def __init__(self, port: int, method: str, requests: list[bytes], most: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_UNLIMITED)
        self._call = self._channel.unary_unary(method)
        self._requests = requests
        self._most = most
        self._asked: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """How many more calls may be open."""
        return self._most - len(self._asked)

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""
        task = asyncio.get_running_loop().create_task(self._ask(picture, done))
        self._asked.add(task)

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def _ask(self, picture: int, done: Done) -> None:
        body, why = None, ""
        try:
            body = await self._call(self._requests[picture])
        except grpc.aio.AioRpcError as error:
            why = f"status {error.code().name}"
        task = asyncio.current_task()
        if task is not None:
            self._asked.discard(task)
        done(body, why)


class StreamLane:
    """One InspectStream."""

    def __init__(self, port: int, method: str, requests: list[bytes], most: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_UNLIMITED)
        self._call = self._channel.stream_stream(method)()
        self._requests = requests
        self._most = most
        self._sequence = 0
        self._waiting: dict[int, Done] = {}
        self._to_send: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> StreamLane:
        """Until the server says that frames may come."""
        await self._call.write(doors.stream_opening())
        await self._call.read()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._send()), loop.create_task(self._receive())]
        return self

    @property
    def room(self) -> int:
        """How many more frames may be unanswered."""
        return self._most - len(self._waiting)

    def ask(self, picture: int, done: Done) -> None:
        """Send; the answer comes by `done`."""
        self._sequence += 1
        self._waiting[self._sequence] = done
        self._to_send.put_nowait(doors.stream_frame(self._sequence, self._requests[picture]))

    async def close(self) -> None:
        """End the stream."""
        for task in self._tasks:
            task.cancel()
        self._call.cancel()
        await self._channel.close()

    async def _send(self) -> None:
        while True:
            await self._call.write(await self._to_send.get())

    async def _receive(self) -> None:
        why = "stream ended"
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                self._waiting.pop(_sequence_of(message))(message, "")
        except grpc.aio.AioRpcError as error:
            why = f"status {error.code().name}"
        for done in list(self._waiting.values()):
            done(None, why)


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
    if door.transport == "grpc":
        return GrpcLane(port, door.target, requests, most)
    return await StreamLane(port, door.target, requests, min(most, STREAM_WINDOW)).open()
