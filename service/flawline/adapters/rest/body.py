"""Reads a picture from a request's body, and refuses as early as can be what no picture is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request

from flawline.adapters.rest.problems import RefusedError

PICTURE_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/x-ms-bmp", "image/tiff")
UNNAMED_MEDIA_TYPE = "application/octet-stream"
_ACCEPTED = (*PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE)
# What curl writes for --data-binary, and for --form.
_FORM_MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


async def read_picture(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """The body, whole. Raises RefusedError: 408, 413, 415, and 400 when the caller went away."""
    _check_media_type(request.headers)
    _check_declared_length(request.headers, max_bytes)
    try:
        return await asyncio.wait_for(_read(request, max_bytes), timeout_s)
    except asyncio.TimeoutError:
        raise RefusedError(
            408, "body_too_slow", f"The body did not arrive within {timeout_s:g} s."
        ) from None
    except (
        ClientDisconnect
    ):  # nobody reads this answer, but the log shall not call it a fault of ours
        raise RefusedError(
            400, "client_gone", "The connection was closed within the body."
        ) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > max_bytes:  # a chunked body has no declared length, so count
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_declared_length(headers: Mapping[str, str], max_bytes: int) -> None:
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)


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
