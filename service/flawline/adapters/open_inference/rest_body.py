"""Reads a request's body, bounded in size, time, and the bytes of all bodies together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from flawline.application.inspector import Inspector
from flawline.application.request_room import RequestRoom
from flawline.core.errors import QueueFull


class RefusedBodyError(HTTPException):
    """A body that is not read to its end; `code` is the word that `/v1` has for the same."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, detail)
        self.code = code


class BodyReader:
    """Reads bodies that may each take `timeout_s` to arrive; `room` is shared with other protocols."""

    def __init__(self, inspector: Inspector, room: RequestRoom, timeout_s: float) -> None:
        self._inspector = inspector
        self._room = room
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def read(self, request: Request, max_bytes: int) -> AsyncIterator[bytes]:
        """The body, whole, with room for it until the block ends.

        Raises RefusedBodyError (400 when the caller went away, 408, 413, 415), QueueFull when there
        is no room, and NotReady when the service is told to stop before the body has arrived.
        """
        with ExitStack() as held:
            try:
                _refuse_encoded(request.headers)
                wanted = _declared_length(request.headers, max_bytes)
                held.enter_context(self._room.reserved(wanted))
                body = await self._read(request, max_bytes)
            except (RefusedBodyError, QueueFull) as error:
                self._inspector.refused(error.code)
                raise
            yield body

    async def _read(self, request: Request, max_bytes: int) -> bytes:
        reading = asyncio.create_task(_whole(request, max_bytes))
        closing = asyncio.create_task(self._inspector.until_draining())
        try:
            await asyncio.wait(
                {reading, closing}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                return reading.result()
            self._inspector.check_ready()
            raise RefusedBodyError(
                408, "body_too_slow", f"The body did not arrive within {self._timeout_s:g} s."
            )
        except ClientDisconnect:  # nobody reads this answer, but it is no fault of ours
            raise RefusedBodyError(
                400, "client_gone", "The connection was closed within the body."
            ) from None
        finally:
            closing.cancel()
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading


async def _whole(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > max_bytes:  # a chunked body has no declared length, so count
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _declared_length(headers: Mapping[str, str], max_bytes: int) -> int:
    """What the body will take; a chunked one may take all that one body is allowed."""
    declared = headers.get("content-length", "")
    if not declared.isdecimal():
        return max_bytes
    if int(declared) > max_bytes:
        raise _too_large(max_bytes)
    return int(declared)


def _too_large(max_bytes: int) -> RefusedBodyError:
    detail = f"The body is larger than the {max_bytes} bytes allowed here."
    return RefusedBodyError(413, "too_many_bytes", detail)


def _refuse_encoded(headers: Mapping[str, str]) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        detail = "The body must not be compressed; send it as it is."
        raise RefusedBodyError(415, "unsupported_media_type", detail)
