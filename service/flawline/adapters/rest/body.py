"""Reads what a request's body submits, and refuses as early as can be what cannot be inspected."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from flawline.adapters.rest.json_body import JsonSink
from flawline.adapters.rest.multipart import MultipartSink
from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.submission import BodySink, PictureSink, Submission
from flawline.application.inspector import Inspector
from flawline.application.request_body import (
    BodyTooLarge,
    BodyTooSlow,
    arrived,
    counted,
    expected_bytes,
    whole,
)
from flawline.application.request_room import RequestRoom, Reserved
from flawline.core.errors import QueueFull

T = TypeVar("T")

PICTURE_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/x-ms-bmp", "image/tiff")
UNNAMED_MEDIA_TYPE = "application/octet-stream"
FORM_MEDIA_TYPE = "multipart/form-data"
JSON_MEDIA_TYPE = "application/json"
# What cameras and PLCs call these, some of which no registry knows; not offered, and understood.
_OTHER_NAMES = frozenset(
    {"image/jpg", "image/pjpeg", "image/x-png", "image/x-bmp", "image/tif", "image/x-tiff"}
)
_ACCEPTED = (*PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE, FORM_MEDIA_TYPE, JSON_MEDIA_TYPE)
_CURLS_OWN_MEDIA_TYPE = "application/x-www-form-urlencoded"  # of --data-binary
# What stands around the pictures: boundaries, names, parameters.
_OVERHEAD_BYTES = 64 * 1024
# A JSON body, the texts in it, and the pictures that they stand for are there at one time.
_JSON_COPIES = 3


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bounds on bodies, each a setting.

    max_bytes: of one picture. max_frames, max_frames_bytes: of one part in one request. timeout_s:
    until a body must have arrived. max_open_bytes: of all bodies that arrive or wait for their
    answer at one time; one request always fits.
    """

    max_bytes: int
    max_frames: int = 16
    max_frames_bytes: int = 64_000_000
    max_open_bytes: int = 256_000_000
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Kind:
    """How bodies of some media type are read. copies: how often one lies in memory at most."""

    max_bytes: int
    setting: str
    sink: Callable[[str], BodySink]
    copies: int = 1


class BodyReader:
    """Reads bodies, each bounded in size and time, all together bounded in bytes.

    room: for the bodies of other protocols too; None for one of its own.
    """

    def __init__(
        self, inspector: Inspector, limits: BodyLimits, room: RequestRoom | None = None
    ) -> None:
        self._inspector = inspector
        self._limits = limits
        self._kinds = _kinds_of(limits)
        self._picture = _Kind(limits.max_bytes, "FLAWLINE_MAX_BODY_BYTES", lambda _: PictureSink())
        self._room = room or RequestRoom(max(limits.max_open_bytes, limits.max_bytes))

    @contextmanager
    def reserved(self, request: Request) -> Iterator[Reserved]:
        """Room for the body, as far as its length is declared, held until the request is answered.

        Raises RefusedError (413, 415), NotReady, and QueueFull when there is no room.
        """
        _check_media_type(request.headers)
        self._inspector.check_ready()
        kind = self._kind_of(request)
        with ExitStack() as held:
            with self._full_is_counted():
                declared = _declared_length(request.headers, kind)
                room = held.enter_context(self._room.reserved(declared * kind.copies))
            yield room

    async def read(self, request: Request, room: Reserved) -> Submission:
        """What the body submits.

        Raises RefusedError: 408, 413, 422, and 400 when it is malformed or the caller went away;
        QueueFull when there is no room for more of it than was declared, and NotReady when the
        service is told to stop before the body has arrived.
        """
        with self._full_is_counted():
            return await self._arrived(_read(request, self._kind_of(request), room))

    async def read_small(self, request: Request, max_bytes: int) -> bytes:
        """A body that holds no picture. Raises as `read`."""
        return await self._arrived(_read_small(request, max_bytes))

    async def _arrived(self, body: Coroutine[Any, Any, T]) -> T:
        timeout_s = self._limits.timeout_s
        try:
            return await arrived(body, self._inspector, timeout_s)
        except BodyTooSlow as error:
            detail = f"The body did not arrive within {timeout_s:g} s."
            raise RefusedError(408, "body_too_slow", detail) from error
        # Nobody reads this answer, but the log shall not call it a fault of ours.
        except ClientDisconnect:
            detail = "The connection was closed within the body."
            raise RefusedError(400, "client_gone", detail) from None

    @contextmanager
    def _full_is_counted(self) -> Iterator[None]:
        try:
            yield
        except QueueFull as error:
            self._inspector.refused(error.code)
            raise

    def _kind_of(self, request: Request) -> _Kind:
        return self._kinds.get(_media_type_of(request.headers), self._picture)


def _kinds_of(limits: BodyLimits) -> Mapping[str, _Kind]:
    """The forms that can hold several pictures."""
    most = max(limits.max_bytes, limits.max_frames_bytes)
    setting, frames = "FLAWLINE_MAX_FRAMES_BYTES", limits.max_frames
    return {
        FORM_MEDIA_TYPE: _Kind(
            most + _OVERHEAD_BYTES,
            setting,
            lambda content_type: MultipartSink(
                content_type, max_bytes=limits.max_bytes, max_frames=frames
            ),
        ),
        JSON_MEDIA_TYPE: _Kind(
            most * 4 // 3 + _OVERHEAD_BYTES,
            setting,
            lambda _: JsonSink(max_frames=frames),
            _JSON_COPIES,
        ),
    }


def _declared_length(headers: Mapping[str, str], kind: _Kind) -> int:
    try:
        return expected_bytes(headers.get("content-length", ""), kind.max_bytes)
    except BodyTooLarge as error:
        raise _too_large(kind) from error


async def _read(request: Request, kind: _Kind, room: Reserved) -> Submission:
    def reached(count: int) -> None:
        room.reach(count * kind.copies)

    sink = kind.sink(request.headers.get("content-type", ""))
    try:
        async for chunk in counted(request.stream(), kind.max_bytes, reached):
            sink.feed(chunk)
    except BodyTooLarge as error:
        raise _too_large(kind) from error
    return await sink.finish()


async def _read_small(request: Request, max_bytes: int) -> bytes:
    try:
        return await whole(request.stream(), max_bytes)
    except BodyTooLarge as error:
        detail = f"The body is larger than the {max_bytes} bytes allowed here."
        raise RefusedError(413, "too_many_bytes", detail) from error


def _too_large(kind: _Kind) -> RefusedError:
    return RefusedError(
        413,
        "too_many_bytes",
        f"The body is larger than the {kind.max_bytes} bytes allowed here; send fewer or smaller "
        f"pictures, or raise {kind.setting} on the server.",
    )


def _media_type_of(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _check_media_type(headers: Mapping[str, str]) -> None:
    media_type = _media_type_of(headers)
    if media_type and media_type not in _ACCEPTED and media_type not in _OTHER_NAMES:
        hint = (
            " Say what it is: curl --data-binary @part.jpg -H 'Content-Type: image/jpeg' ..."
            if media_type == _CURLS_OWN_MEDIA_TYPE
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
