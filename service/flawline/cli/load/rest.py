"""Frames over REST, one try each.

Written on asyncio's streams, and not with flawline.client.rest: a generator must show refusals, which the client
tries again until the deadline, and must take little of a machine that it often shares with the service.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flawline.cli.load.address import Address
from flawline.core.load import Outcome, OutcomeKind

_PATH = "/v1/inspections"
_REFUSALS = {429, 503}
_TOO_LATE = 504
_HEAD_BYTES = 64 * 1024
_FAREWELL_S = 1.0


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """status: of HTTP; fields: the JSON document, {} where there is none."""

    status: int
    fields: Mapping[str, Any]

    @property
    def outcome(self) -> Outcome:
        """What it means for the frame."""
        fields, code = self.fields, str(self.fields.get("code") or f"http_{self.status}")
        if 200 <= self.status < 300 and "verdict" in fields:
            if fields["verdict"] != "Undefined":
                return Outcome(OutcomeKind.VERDICT, str(fields["verdict"]))
            reasons = fields.get("reasons") or [{}]
            return Outcome(OutcomeKind.UNDEFINED, str(reasons[0].get("code", "unknown")))
        if self.status in _REFUSALS:
            reason = fields.get("reason") or code
            return Outcome(OutcomeKind.REFUSED, code if reason == code else f"{code}: {reason}")
        if self.status == _TOO_LATE and fields.get("verdict"):
            return Outcome(OutcomeKind.UNDEFINED, code)
        return Outcome(OutcomeKind.ERROR, code)


class RestWay:
    """Connections are kept, and as many are opened as frames are unanswered at a time.

    patience_s: how long an answer is waited for.
    """

    def __init__(
        self, address: Address, *, line: str | None, deadline_ms: int, patience_s: float
    ) -> None:
        self._address = address
        self._trust = address.trust()
        self._patience_s = patience_s
        self._idle: list[_Connection] = []
        asked = {"deadline_ms": str(deadline_ms), **({"line": line} if line else {})}
        head = [
            f"POST {_PATH}?{urlencode(asked)} HTTP/1.1",
            f"Host: {address.target}",
            "Content-Type: application/octet-stream",
            "Accept: application/json",
        ]
        if address.token is not None:
            head.append(f"Authorization: Bearer {address.token}")
        self._head = "\r\n".join(head).encode("latin-1")

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        """One try; without an answer, an error."""
        del caller  # connections serve whoever comes next
        try:
            return (await self.ask(picture)).outcome
        except asyncio.TimeoutError:
            return Outcome(OutcomeKind.ERROR, "no_answer")
        except (OSError, EOFError, ValueError):
            return Outcome(OutcomeKind.ERROR, "connection_lost")

    async def ask(self, picture: bytes) -> RestAnswer:
        """The answer. Raises asyncio.TimeoutError, OSError, EOFError, or ValueError for what is no HTTP."""
        return await asyncio.wait_for(self._ask(picture), self._patience_s)

    async def aclose(self) -> None:
        """Close all connections."""
        idle, self._idle = self._idle, []
        closing = [asyncio.create_task(connection.closed()) for connection in idle]
        if closing:
            await asyncio.wait(closing, timeout=_FAREWELL_S)

    async def _ask(self, picture: bytes) -> RestAnswer:
        connection = self._kept() or await self._opened()
        try:
            status, keep, body = await connection.exchange(self._head, picture)
        except BaseException:
            connection.close()
            raise
        if keep:
            self._idle.append(connection)
        else:
            connection.close()
        try:
            fields = json.loads(body)
        except ValueError:  # a proxy's page, say
            fields = {}
        return RestAnswer(status, fields if isinstance(fields, dict) else {})

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _opened(self) -> _Connection:
        reader, writer = await asyncio.open_connection(
            self._address.host, self._address.port, ssl=self._trust, limit=_HEAD_BYTES
        )
        return _Connection(reader, writer)


class _Connection:
    """One exchange after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    async def closed(self) -> None:
        """TLS says goodbye first."""
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def exchange(self, head: bytes, picture: bytes) -> tuple[int, bool, bytes]:
        """Status, whether the connection may be kept, and the body."""
        self._writer.writelines((head, b"\r\nContent-Length: %d\r\n\r\n" % len(picture), picture))
        await self._writer.drain()
        status, headers = await self._answer_head()
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(headers[b"content-length"]))
        return status, headers.get(b"connection", b"").lower() != b"close", body

    async def _answer_head(self) -> tuple[int, dict[bytes, bytes]]:
        try:
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise ValueError("no head of HTTP") from error
        protocol, status, *_ = first.split(b" ", 2)
        if not protocol.startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        pairs = (line.partition(b":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            headers[b"content-length"] = b"0"
        return int(status), headers

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return body
