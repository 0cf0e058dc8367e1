"""What a body submits, whichever form it has, and the requests that become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from flawline.adapters.rest.parameters import InspectionQuery
from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.schemas import FieldFault


@dataclass(frozen=True, slots=True)
class Submission:
    """One picture, or the frames of one part; and parameters that stood beside them.

    frames: the encoded pictures, at least one; exactly one unless `is_part`.
    """

    frames: tuple[bytes, ...]
    is_part: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


class BodySink(Protocol):
    """Takes a body piece by piece. Both methods raise RefusedError."""

    def feed(self, chunk: bytes) -> None:
        """The next piece."""
        ...

    async def finish(self) -> Submission:
        """There is no more."""
        ...


class PictureSink:
    """A body that is the bare picture."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """The next piece."""
        self._chunks.append(chunk)

    async def finish(self) -> Submission:
        """There is no more."""
        return Submission((b"".join(self._chunks),))


def inspection_query(query_params: Mapping[str, str]) -> InspectionQuery:
    """The query as parameters. Raises RequestValidationError."""
    try:
        return InspectionQuery.model_validate(dict(query_params))
    except ValidationError as error:
        raise _faults_in("query", error) from error


def parameters_of(query: InspectionQuery, submission: Submission) -> dict[str, Any]:
    """The parameters, those of the query and those in the body. Raises RefusedError (422)."""
    beside = submission.parameters
    twice = sorted(query.model_fields_set & set(beside))
    if twice:
        faults = [FieldFault(field=name, detail="given in query and body.") for name in twice]
        detail = f"Give each parameter once; in query and body: {', '.join(twice)}."
        raise RefusedError(422, "invalid_request", detail, errors=faults)
    return query.model_dump() | dict(beside)


def checked_parameters(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Form fields as parameters of their types. Raises RequestValidationError."""
    try:
        parameters = InspectionQuery.model_validate(fields)
    except ValidationError as error:
        raise body_faults(error) from error
    return parameters.model_dump(exclude_unset=True)


def body_faults(error: ValidationError) -> RequestValidationError:
    """The same faults as the framework reports them, under `body`."""
    return _faults_in("body", error)


def _faults_in(place: str, error: ValidationError) -> RequestValidationError:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**fault, "loc": (place, *fault["loc"])} for fault in faults])


def malformed(detail: str) -> RefusedError:
    """A body that breaks the rules of its own format."""
    return RefusedError(400, "malformed_body", detail)


def conflicting_pictures(detail: str) -> RefusedError:
    """Neither `picture` nor `frames`, or both, or one of them twice."""
    return RefusedError(
        422, "invalid_request", detail, errors=[FieldFault(field="picture", detail=detail)]
    )


def too_many_frames(max_frames: int) -> RefusedError:
    """More frames than one request may have."""
    return RefusedError(
        413,
        "too_many_frames",
        f"One request may have {max_frames} frames; send fewer, or raise FLAWLINE_MAX_FRAMES "
        "on the server.",
    )


PICTURE_OR_FRAMES = "Give either one `picture`, or `frames` of one part."
