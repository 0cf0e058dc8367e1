"""Reads a request's body, bounded in size, time, and the bytes of all bodies together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from flawline.application.inspector import Inspector
from flawline.application.request_body import (
    BodyTooLarge,
    BodyTooSlow,
    arrived,
    expected_bytes,
    whole,
)
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
                with _in_our_words(max_bytes, self._timeout_s):
                    wanted = expected_bytes(request.headers.get("content-length", ""), max_bytes)
                    room = held.enter_context(self._room.reserved(wanted))
                    reading = whole(request.stream(), max_bytes, room.reach)
                    body = await arrived(reading, self._inspector, self._timeout_s)
            except (RefusedBodyError, QueueFull) as error:
                self._inspector.refused(error.code)
                raise
            yield body


@contextmanager
def _in_our_words(max_bytes: int, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except BodyTooLarge as error:
        detail = f"The body is larger than the {max_bytes} bytes allowed here."
        raise RefusedBodyError(413, "too_many_bytes", detail) from error
    except BodyTooSlow as error:
        detail = f"The body did not arrive within {timeout_s:g} s."
        raise RefusedBodyError(408, "body_too_slow", detail) from error
    except ClientDisconnect:  # nobody reads this answer, but it is no fault of ours
        detail = "The connection was closed within the body."
        raise RefusedBodyError(400, "client_gone", detail) from None


def _refuse_encoded(headers: Mapping[str, str]) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        detail = "The body must not be compressed; send it as it is."
        raise RefusedBodyError(415, "unsupported_media_type", detail)
