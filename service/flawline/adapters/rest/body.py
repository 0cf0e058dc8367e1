"""Reads a picture from a request's body, and refuses as early as can be what no picture is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from starlette.requests import ClientDisconnect, Request

from flawline.adapters.rest.problems import RefusedError
from flawline.application.inspector import Inspector
from flawline.core.errors import QueueFull

PICTURE_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/x-ms-bmp", "image/tiff")
UNNAMED_MEDIA_TYPE = "application/octet-stream"
_ACCEPTED = (*PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE)
# What curl writes for --data-binary, and for --form.
_FORM_MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


# When bodies fill the memory they may: about the time in which the next picture leaves again.
_RETRY_AFTER_S = 1.0


class BodyReader:
    """Reads bodies, each bounded in size and time, all together bounded in bytes.

    max_bytes: of one body. timeout_s: until it must have arrived. max_open_bytes: of all bodies that
    arrive or wait for their answer at one time.
    """

    def __init__(
        self, inspector: Inspector, *, max_bytes: int, timeout_s: float, max_open_bytes: int
    ) -> None:
        self._inspector = inspector
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._room_bytes = max(max_bytes, max_open_bytes)

    @contextmanager
    def reserved(self, request: Request) -> Iterator[None]:
        """Room for the body, held until the request is answered.

        Raises RefusedError (413, 415), NotReady, and QueueFull when there is no room.
        """
        _check_media_type(request.headers)
        self._inspector.check_ready()
        wanted = self._declared_length(request.headers)
        if wanted > self._room_bytes:
            self._inspector.refused(QueueFull.code)
            raise QueueFull(_RETRY_AFTER_S)
        self._room_bytes -= wanted
        try:
            yield
        finally:
            self._room_bytes += wanted

    async def read(self, request: Request) -> bytes:
        """The body, whole.

        Raises RefusedError: 408, 413, and 400 when the caller went away; NotReady when the service
        is told to stop before the body has arrived.
        """
        reading = asyncio.create_task(_read(request, self._max_bytes))
        closing = asyncio.create_task(self._inspector.until_draining())
        try:
            await asyncio.wait(
                {reading, closing}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                return reading.result()
            self._inspector.check_ready()
            raise RefusedError(
                408, "body_too_slow", f"The body did not arrive within {self._timeout_s:g} s."
            )
        except (
            ClientDisconnect
        ):  # nobody reads this answer, but the log shall not call it a fault of ours
            raise RefusedError(
                400, "client_gone", "The connection was closed within the body."
            ) from None
        finally:
            closing.cancel()
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading

    def _declared_length(self, headers: Mapping[str, str]) -> int:
        """What the body will take; a chunked one may take all that one body is allowed."""
        declared = headers.get("content-length", "")
        if not declared.isdecimal():
            return self._max_bytes
        if int(declared) > self._max_bytes:
            raise _too_large(self._max_bytes)
        return int(declared)


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > max_bytes:  # a chunked body has no declared length, so count
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(
        413,
        "too_many_bytes",
        f"The body is larger than the {max_bytes} bytes allowed here; send a smaller picture, "
        "or raise FLAWLINE_MAX_BODY_BYTES on the server.",
    )


def _check_media_type(headers: Mapping[str, str]) -> None:
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type and media_type not in _ACCEPTED:
        hint = (
            " Send the bare picture: curl --data-binary @part.jpg -H 'Content-Type: image/jpeg' ..."
            if media_type in _FORM_MEDIA_TYPES
            else ""
        )
        raise _unsupported(
            f"The body is said to be {media_type!r}; accepted are {', '.join(_ACCEPTED)}, "
            f"or no Content-Type at all.{hint}"
        )
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _unsupported(
            f"The body is said to be encoded as {encoding!r}; send the picture file as it is."
        )


def _unsupported(detail: str) -> RefusedError:
    return RefusedError(
        415, "unsupported_media_type", detail, headers={"Accept": ", ".join(_ACCEPTED)}
    )
