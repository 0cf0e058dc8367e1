"""`multipart/form-data` (RFC 7578), read as it arrives: nothing is held twice, nothing goes to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from flawline.adapters.rest.parameters import InspectionQuery
from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.schemas import FieldFault
from flawline.adapters.rest.submission import (
    PICTURE_OR_FRAMES,
    Submission,
    checked_parameters,
    conflicting_pictures,
    malformed,
    too_many_frames,
)

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_PARAMETERS = frozenset(InspectionQuery.model_fields)
_PICTURES = frozenset({"picture", "frames"})
_MOST_PARAMETER_BYTES = 1024
_PLAIN_ENCODINGS = ("", "binary", "8bit", "7bit")


class MultipartSink:
    """Fields named `picture` (once) or `frames` (one a frame), and any parameters of the query.

    max_bytes: of one picture. max_frames: how many there may be.
    """

    def __init__(self, content_type: str, *, max_bytes: int, max_frames: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise malformed("The Content-Type of a form must name its boundary.")
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._pictures: dict[str, list[bytes]] = {name: [] for name in _PICTURES}
        self._parameters: dict[str, str] = {}
        self._headers: dict[str, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._chunks: list[bytes] = []
        self._length = 0
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise malformed(f"The form's boundary cannot be used: {error}.") from error

    def feed(self, chunk: bytes) -> None:
        """The next piece. Raises RefusedError."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise malformed(f"The form is malformed: {error}.") from error

    async def finish(self) -> Submission:
        """There is no more. Raises RefusedError, and RequestValidationError for parameters."""
        if not self._ended:
            raise malformed("The form ends before its last boundary.")
        picture, frames = self._pictures["picture"], self._pictures["frames"]
        if bool(picture) == bool(frames):
            raise conflicting_pictures(PICTURE_OR_FRAMES)
        parameters = checked_parameters(self._parameters)
        return Submission(tuple(picture or frames), bool(frames), parameters)

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name_comes,
            "on_header_value": self._header_value_comes,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._data_begins,
            "on_part_data": self._data_comes,
            "on_part_end": self._part_ends,
            "on_end": self._form_ends,
        }

    def _part_begins(self) -> None:
        self._headers, self._chunks, self._length = {}, [], 0

    def _header_name_comes(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_comes(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _data_begins(self) -> None:
        disposition = parse_options_header(self._headers.get("content-disposition", b""))
        self._name = disposition[1].get(b"name", b"").decode("utf-8", "replace")
        encoding = self._headers.get("content-transfer-encoding", b"").decode("latin-1")
        if encoding.strip().lower() not in _PLAIN_ENCODINGS:
            raise self._fault(f"is encoded as {encoding!r}; send its bytes as they are.")
        if self._name in _PICTURES:
            self._check_count()
        elif self._name not in _PARAMETERS:
            known = ", ".join(("picture", "frames", *InspectionQuery.model_fields))
            raise self._fault(f"there is no such field; known: {known}.")
        elif self._name in self._parameters:
            raise self._fault("given more than once.")

    def _check_count(self) -> None:
        held = self._pictures[self._name]
        if self._name == "picture" and held:
            raise conflicting_pictures(
                "picture is given more than once; call the frames of one part `frames`."
            )
        if len(held) >= self._max_frames:
            raise too_many_frames(self._max_frames)

    def _data_comes(self, data: bytes, start: int, end: int) -> None:
        self._length += end - start
        if self._name in _PARAMETERS and self._length > _MOST_PARAMETER_BYTES:
            raise self._fault(f"has more than {_MOST_PARAMETER_BYTES} bytes.")
        if self._length > self._max_bytes:
            raise RefusedError(
                413,
                "too_many_bytes",
                f"{self._where()} is larger than the {self._max_bytes} bytes allowed here; send a "
                "smaller picture, or raise FLAWLINE_MAX_BODY_BYTES on the server.",
            )
        self._chunks.append(data[start:end])

    def _part_ends(self) -> None:
        data = b"".join(self._chunks)
        self._chunks = []
        if self._name in _PICTURES:
            self._pictures[self._name].append(data)
            return
        try:
            self._parameters[self._name] = data.decode()
        except UnicodeDecodeError:
            raise self._fault("is not UTF-8.") from None

    def _form_ends(self) -> None:
        self._ended = True

    def _where(self) -> str:
        held = self._pictures.get(self._name, [])
        return f"frames[{len(held)}]" if self._name == "frames" else self._name

    def _fault(self, text: str) -> RefusedError:
        name = self._where()[:64] or "(no name)"
        return RefusedError(
            422,
            "invalid_request",
            f"{name}: {text}",
            errors=[FieldFault(field=name, detail=text)],
        )
