"""As much of HTTP/2 (RFC 9113) as a load generator for gRPC needs, at a tenth of what a full client computes.

No TLS, no compression of headers, no padding, no priorities. A message that is larger than the peer's windows waits for
them; our own windows are opened so wide at once that a run never fills them.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_WIDEST = 2**31 - 1
_FIRST_WINDOW = 65535
_FRAME_HEAD = 9
_PREFIX = 5
"""Before each message of gRPC: whether it is compressed, and its length."""
SLICE = 16384
"""The largest frame that any peer must take."""


class Listener(Protocol):
    """Who opened a stream."""

    def message(self, content: bytes) -> None:
        """One message of gRPC."""

    def ended(self, why: str) -> None:
        """The stream is over; `why` is the status in so far as it can be read, empty when it was OK."""


@dataclass
class _Stream:
    listener: Listener
    window: int
    to_send: deque[tuple[memoryview, bool]] = field(default_factory=deque)
    """Parts of messages, and whether each ends the stream."""
    received: bytearray = field(default_factory=bytearray)


class Http2(asyncio.Protocol):
    """One connection of a client; streams are gRPC calls."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._window = _FIRST_WINDOW
        self._stream_window = _FIRST_WINDOW
        self._waiting: set[int] = set()

    @classmethod
    async def connect(cls, port: int) -> Http2:
        """To a port of loopback."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def open(self, path: str, listener: Listener) -> int:
        """Begin a call; gives the number of its stream."""
        number = self._next_id
        self._next_id += 2
        self._streams[number] = _Stream(listener, self._stream_window)
        self._write(_frame(_HEADERS, _END_HEADERS, number, _request_headers(path)))
        return number

    def send(self, number: int, message: bytes, *, last: bool) -> None:
        """A message of gRPC; the rest of it follows as the peer's windows open."""
        stream = self._streams.get(number)
        if stream is None:
            return
        content = memoryview(b"\0" + struct.pack(">I", len(message)) + message)
        ends = range(SLICE, len(content) + SLICE, SLICE)
        for end in ends:
            stream.to_send.append((content[end - SLICE : end], last and end >= len(content)))
        self._push(number, stream)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """By asyncio."""
        self._transport = transport  # type: ignore[assignment]
        settings = {
            _HEADER_TABLE_SIZE: 0,
            _ENABLE_PUSH: 0,
            _INITIAL_WINDOW_SIZE: _WIDEST,
            _MAX_FRAME_SIZE: 2**24 - 1,
        }
        content = b"".join(struct.pack(">HI", name, value) for name, value in settings.items())
        widen = struct.pack(">I", _WIDEST - _FIRST_WINDOW)
        self._write(
            _PREFACE + _frame(_SETTINGS, 0, 0, content) + _frame(_WINDOW_UPDATE, 0, 0, widen)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """By asyncio."""
        self._transport = None
        for number in list(self._streams):
            self._end(number, f"connection closed{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """By asyncio: frames, the last of which may go on later."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _FRAME_HEAD:
            length = int.from_bytes(self._buffer[at : at + 3], "big")
            end = at + _FRAME_HEAD + length
            if len(self._buffer) < end:
                break
            kind, flags = self._buffer[at + 3], self._buffer[at + 4]
            number = int.from_bytes(self._buffer[at + 5 : at + 9], "big") & _WIDEST
            self._take(kind, flags, number, bytes(self._buffer[at + _FRAME_HEAD : end]))
            at = end
        del self._buffer[:at]

    def _take(self, kind: int, flags: int, number: int, content: bytes) -> None:
        if kind == _DATA:
            if flags & _PADDED:
                raise RuntimeError("padded frames are not read here")
            self._messages(number, content)
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            self._end(number, _status(content) if kind == _HEADERS else "")
        elif kind == _RST_STREAM:
            self._end(number, f"reset, code {int.from_bytes(content, 'big')}")
        elif kind == _SETTINGS and not flags & _ACK:
            self._settings(content)
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, content))
        elif kind == _WINDOW_UPDATE:
            self._widen(number, int.from_bytes(content, "big"))
        elif kind == _GOAWAY and self._transport is not None:
            self._transport.close()

    def _messages(self, number: int, content: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        received = stream.received
        received += content
        while len(received) >= _PREFIX:
            end = _PREFIX + int.from_bytes(received[1:_PREFIX], "big")
            if len(received) < end:
                return
            message = bytes(received[_PREFIX:end])
            del received[:end]
            stream.listener.message(message)

    def _settings(self, content: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", content):
            if name == _INITIAL_WINDOW_SIZE:
                grown = value - self._stream_window
                self._stream_window = value
                for stream in self._streams.values():
                    stream.window += grown
        self._write(_frame(_SETTINGS, _ACK, 0, b""))
        self._push_waiting()

    def _widen(self, number: int, by: int) -> None:
        if number == 0:
            self._window += by
        elif number in self._streams:
            self._streams[number].window += by
        self._push_waiting()

    def _push_waiting(self) -> None:
        for number in sorted(self._waiting):
            self._push(number, self._streams[number])

    def _push(self, number: int, stream: _Stream) -> None:
        """Write what the windows allow."""
        frames = []
        while stream.to_send:
            part, last = stream.to_send[0]
            if len(part) > min(self._window, stream.window):
                break
            stream.to_send.popleft()
            self._window -= len(part)
            stream.window -= len(part)
            frames.append(_frame(_DATA, _END_STREAM if last else 0, number, part))
        if frames:
            self._write(b"".join(frames))
        if stream.to_send:
            self._waiting.add(number)
        else:
            self._waiting.discard(number)

    def _end(self, number: int, why: str) -> None:
        self._waiting.discard(number)
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.listener.ended(why)

    def _write(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)


def _frame(kind: int, flags: int, number: int, content: bytes | memoryview) -> bytes:
    head = struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", number)
    return head + content


def _request_headers(path: str) -> bytes:
    """By HPACK (RFC 7541): names of its static table where it has them, nothing remembered, no Huffman code."""
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + _literal(4, path)  # :path
        + _literal(1, "127.0.0.1")  # :authority
        + b"\x0f\x10"  # content-type, the 31st of the static table
        + _text("application/grpc")
        + b"\x00"
        + _text("te")
        + _text("trailers")
    )


def _literal(index: int, value: str) -> bytes:
    return bytes((index,)) + _text(value)


def _text(value: str) -> bytes:
    if len(value) >= 127:
        raise ValueError(f"{value} is longer than is written here")
    return bytes((len(value),)) + value.encode("ascii")


def _status(trailers: bytes) -> str:
    """Of gRPC, from headers that a server wrote without a table: empty for OK."""
    name = b"grpc-status"
    at = trailers.find(name)
    if at < 0:
        return "status unknown"
    length = trailers[at + len(name)] & 0x7F
    value = trailers[at + len(name) + 1 : at + len(name) + 1 + length]
    return "" if value == b"0" else f"status {value.decode('latin-1')}"
