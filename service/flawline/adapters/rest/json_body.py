"""`application/json`: pictures as base64 (RFC 4648, section 4), parameters beside them."""

from __future__ import annotations

import asyncio
import codecs
import json

from pydantic import ValidationError

from flawline.adapters.rest.parameters import InspectionBody, InspectionQuery
from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.query import names_given_twice
from flawline.adapters.rest.schemas import FieldFault
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
# Of keys and of values. 256 frames need some hundred, and base64 has neither commas nor colons; each one more takes up
# to hundreds of bytes to hold, as a value or as a fault.
_MOST_PARTS = 4096


def without_byte_order_mark(text: bytes) -> bytes:
    """Windows' tools put one before UTF-8; RFC 8259, section 8.1, lets a reader ignore it."""
    return text.removeprefix(codecs.BOM_UTF8)


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
        text = without_byte_order_mark(b"".join(self._chunks))
        self._chunks = []
        colons = text.count(b":")
        if max(colons, text.count(b",")) > _MOST_PARTS:
            raise malformed(f"The body has more than {_MOST_PARTS} keys or values.")
        try:
            body = InspectionBody.model_validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            if first["type"] == "json_invalid":
                raise malformed(f"The body is no JSON: {first['ctx']['error']}.") from error
            raise body_faults(error) from error
        # To read a large body once more costs memory and time. There is a colon to each key, and in base64 is none.
        if colons > len(body.model_fields_set) + len(body.frames or ()):
            json.loads(text, object_pairs_hook=_refuse_repeated_keys)
        if (body.picture is None) == (body.frames is None):
            raise conflicting_pictures(PICTURE_OR_FRAMES)
        if body.frames is not None and len(body.frames) > self._max_frames:
            raise too_many_frames(self._max_frames)
        given = body.model_dump(exclude_unset=True, include=set(InspectionQuery.model_fields))
        parameters = {name: value for name, value in given.items() if value is not None}
        if body.frames is not None:
            return Submission(tuple(frame.picture for frame in body.frames), True, parameters)
        return Submission((body.picture or b"",), False, parameters)


def _refuse_repeated_keys(pairs: list[tuple[str, object]]) -> None:
    """Raises RefusedError (422) for a key that stands twice in one object, which pydantic takes the last of."""
    repeated = names_given_twice(name for name, _ in pairs)
    if repeated:
        faults = [FieldFault(field=name, detail="given more than once.") for name in repeated]
        detail = f"Give each key of the JSON body once; repeated: {', '.join(repeated)}."
        raise RefusedError(422, "invalid_request", detail, errors=faults)
