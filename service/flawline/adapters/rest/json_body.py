"""`application/json`: pictures as base64 (RFC 4648, section 4), parameters beside them."""

from __future__ import annotations

import asyncio

from pydantic import ValidationError

from flawline.adapters.rest.parameters import InspectionBody, InspectionQuery
from flawline.adapters.rest.submission import (
    PICTURE_OR_FRAMES,
    Submission,
    body_faults,
    conflicting_pictures,
    malformed,
    too_many_frames,
)

# From here on decoding would hold up the event loop for longer than others should wait.
_LARGE_BYTES = 128 * 1024


class JsonSink:
    """One `picture`, or `frames` of one part, each with its `picture`. max_frames: of these."""

    def __init__(self, *, max_frames: int) -> None:
        self._max_frames = max_frames
        self._chunks: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> None:
        """The next piece."""
        self._chunks.append(chunk)
        self._length += len(chunk)

    async def finish(self) -> Submission:
        """There is no more. Raises RefusedError and RequestValidationError."""
        if self._length < _LARGE_BYTES:
            return self._parsed()
        return await asyncio.to_thread(self._parsed)

    def _parsed(self) -> Submission:
        text = b"".join(self._chunks)
        self._chunks = []
        try:
            body = InspectionBody.model_validate_json(text, strict=True)
        except ValidationError as error:
            broken = [fault for fault in error.errors() if fault["type"] == "json_invalid"]
            if broken:
                raise malformed(f"The body is no JSON: {broken[0]['ctx']['error']}.") from error
            raise body_faults(error) from error
        if (body.picture is None) == (body.frames is None):
            raise conflicting_pictures(PICTURE_OR_FRAMES)
        if body.frames is not None and len(body.frames) > self._max_frames:
            raise too_many_frames(self._max_frames)
        given = body.model_dump(exclude_unset=True, include=set(InspectionQuery.model_fields))
        parameters = {name: value for name, value in given.items() if value is not None}
        if body.frames is not None:
            return Submission(tuple(frame.picture for frame in body.frames), True, parameters)
        return Submission((body.picture or b"",), False, parameters)
