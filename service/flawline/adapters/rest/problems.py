"""Every answer that is not a success: one table from errors to statuses, one shape (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match

from flawline.adapters.rest.negotiation import prefers_text
from flawline.adapters.rest.parameters import InspectionQuery
from flawline.adapters.rest.schemas import (
    FieldFault,
    InspectionAnswer,
    Problem,
)
from flawline.core.errors import (
    BadPicture,
    InspectionError,
    InvalidRequest,
    NotReady,
    QueueFull,
    UnknownRecipe,
)
from flawline.core.model_errors import (
    ChangeInProgress,
    ModelConflict,
    ModelControlOff,
    UnknownModel,
    UnusableArtifact,
)
from flawline.core.values import Verdict

PROBLEM_MEDIA_TYPE = "application/problem+json"

_SHOWN_CHARACTERS = 64
_SHOWN_FAULTS = 16
# pydantic's own words are for who reads Python: "Input should be a valid bytes", "after validation".
_FAULT_TEXTS = {
    **dict.fromkeys(("int_parsing", "int_from_float"), "must be a whole number."),
    "int_type": "must be a whole number, without quotes.",
    "float_parsing": "must be a number, as in 0.5.",
    "float_type": "must be a number without quotes, as in 0.5.",
    "string_type": "must be text.",
    "bytes_type": "must be a picture file as text in base64.",
    "list_type": "must be a list, [...].",
    **dict.fromkeys(("model_type", "model_attributes_type"), "must be an object, {...}."),
    "too_short": "must not be empty.",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_STATUSES: Mapping[type[InspectionError], int] = {
    UnknownRecipe: 404,
    UnknownModel: 404,
    ModelControlOff: 403,
    ModelConflict: 409,
}
_STATUS_OF_PICTURE_CODE = {"too_many_bytes": 413, "unsupported_picture": 415}


class RefusedError(Exception):
    """A request that this adapter itself refuses, before the Inspector hears of it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[FieldFault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = make_problem(status, code, detail, errors=errors)
        self.headers = headers


def problem_response(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response:
    """The problem as JSON, or the bare word of its verdict for a caller that reads text alone."""
    if problem.verdict is not None and prefers_text(request.headers):
        return PlainTextResponse(problem.verdict.value, problem.status, headers)
    return Response(problem.to_json(), problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)


def install_problem_handlers(app: FastAPI, count_refusal: Callable[[str], None]) -> None:
    """Make every expected error, ours and the framework's, a problem document.

    count_refusal: told the code of each request that is refused before the Inspector hears of it.
    The handlers are coroutines: Starlette would run plain functions in a thread each.
    """

    async def _refused(request: Request, error: RefusedError) -> Response:
        count_refusal(error.problem.code)
        return problem_response(request, error.problem, error.headers)

    async def _invalid_parameters(request: Request, error: RequestValidationError) -> Response:
        problem = _parameters_problem(error)
        count_refusal(problem.code)
        return problem_response(request, problem)

    app.exception_handler(InspectionError)(_inspection_error)
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid_parameters)
    app.exception_handler(HTTPException)(_framework_error)


def inspection_error_response(request: Request, error: InspectionError) -> Response:
    """The table of design.md, and the only place where our errors meet HTTP statuses."""
    detail = str(error)
    if isinstance(error, QueueFull):
        problem = make_problem(429, error.code, detail, verdict=Verdict.UNDEFINED)
        return problem_response(request, problem, _retry_after(error.retry_after_s))
    if isinstance(error, NotReady):
        problem = make_problem(
            503, error.code, detail, verdict=Verdict.UNDEFINED, reason=error.reason
        )
        headers = _retry_after(error.retry_after_s)
        if error.for_good:  # the next request had better go to another server
            headers["Connection"] = "close"
        return problem_response(request, problem, headers)
    if isinstance(error, UnusableArtifact):
        problem = make_problem(422, error.code, detail, reason=error.reason)
        return problem_response(request, problem)
    if isinstance(error, ChangeInProgress):
        headers = _retry_after(error.retry_after_s)
        return problem_response(request, make_problem(409, error.code, detail), headers)
    for kind, status_of_kind in _STATUSES.items():
        if isinstance(error, kind):
            return problem_response(request, make_problem(status_of_kind, error.code, detail))
    status, faults = 422, None
    if isinstance(error, BadPicture):
        status = _STATUS_OF_PICTURE_CODE.get(error.code, 422)
    if isinstance(error, BadPicture | InvalidRequest):
        faults = [FieldFault(field=error.field, detail=detail)]
    return problem_response(request, make_problem(status, error.code, detail, errors=faults))


async def _inspection_error(request: Request, error: InspectionError) -> Response:
    return inspection_error_response(request, error)


def _parameters_problem(error: RequestValidationError) -> Problem:
    found = error.errors()
    faults = [
        FieldFault(field=_field_of(fault["loc"]), detail=_fault_text(fault))
        for fault in found[:_SHOWN_FAULTS]
    ]
    detail = " ".join(f"{fault.field}: {fault.detail}" for fault in faults)
    if len(found) > _SHOWN_FAULTS:
        detail += f" And {len(found) - _SHOWN_FAULTS} more faults."
    return make_problem(422, "invalid_request", detail, errors=faults)


def _field_of(location: Sequence[str | int]) -> str:
    """`frames[1].picture` for ("body", "frames", 1, "picture")."""
    _, *path = location
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).lstrip(".")[:_SHOWN_CHARACTERS] or "body"


def _fault_text(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        if fault["loc"][0] == "query":
            known = ", ".join(InspectionQuery.model_fields)
            return f"there is no such parameter; known: {known}."
        return "there is no such field."
    return _FAULT_TEXTS.get(fault["type"]) or str(fault["msg"]).removesuffix(".") + "."


async def _framework_error(request: Request, error: HTTPException) -> Response:
    """What routing says: no such path (404), wrong method (405)."""
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    path = request.url.path
    detail = f"{request.method} {path}: {error.detail}. The API is described at /docs."
    if path != "/" and path.endswith("/"):
        detail += " No path ends in a slash."
    headers = error.headers
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {**(headers or {}), "Allow": ", ".join(_allowed_methods(request))}
    return problem_response(request, make_problem(status, code, detail), headers)


def _allowed_methods(request: Request) -> list[str]:
    """All that the path knows; Starlette names those of the first route of several alone.

    HEAD goes wherever GET does (see `head`), though few routes say so.
    """
    scope = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}
    known = {
        method
        for method in _METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    }
    if "GET" in known:
        known.add("HEAD")
    return [method for method in _METHODS if method in known]


def make_problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[FieldFault] | None = None,
    verdict: Verdict | None = None,
    reason: str | None = None,
    inspection_id: str | None = None,
    error_id: str | None = None,
    frames: list[InspectionAnswer] | None = None,
) -> Problem:
    """A problem document; with a verdict its reason is the code unless another is given."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=errors,
        verdict=verdict,
        reason=(reason or code) if verdict is not None else reason,
        inspection_id=inspection_id,
        error_id=error_id,
        frames=frames,
    )


def _retry_after(seconds: float) -> dict[str, str]:
    """Whole seconds, as RFC 9110 wants them; never 0, which would invite a storm."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
