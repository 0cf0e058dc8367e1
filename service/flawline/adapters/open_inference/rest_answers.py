"""How the REST face answers: one table from the protocol's kinds to statuses, one shape of error."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from flawline.adapters.open_inference.errors import Kind, OpenInferenceError, translated, unexpected
from flawline.application.failures import new_error_id
from flawline.core.errors import InspectionError
from flawline.core.values import Verdict

logger = logging.getLogger(__name__)

STATUSES = {
    Kind.INVALID: 400,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.BUSY: 429,
    Kind.INTERNAL: 500,
    Kind.UNAVAILABLE: 503,
}
# The picture may well be good and was not evaluated.
_WITHOUT_VERDICT = {Kind.BUSY, Kind.INTERNAL, Kind.UNAVAILABLE}
_RETRY_AFTER_S = 1.0


class AnsweringRoute(APIRoute):
    """A route whose errors have the protocol's shape, whoever raises them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with what it raises turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except OpenInferenceError as error:
                return error_response(error)
            except InspectionError as error:
                return error_response(translated(error))
            except HTTPException as error:
                return _framework_error(error)
            except Exception:
                error_id = new_error_id()
                logger.exception("request_failed path=%s error_id=%s", request.url.path, error_id)
                return error_response(unexpected(error_id))

        return answer


def json_response(document: Any) -> Response:
    """200 with that document."""
    return Response(json.dumps(document), media_type="application/json")


def error_response(error: OpenInferenceError) -> Response:
    """The error as clients of this protocol read it, with a code for machines beside."""
    status = STATUSES[error.kind]
    body = {"error": str(error), "code": error.code}
    if error.kind in _WITHOUT_VERDICT:
        body["verdict"] = Verdict.UNDEFINED.value
    headers = {}
    if status in (429, 503):
        wait_s = _RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if error.for_good:
        headers["Connection"] = "close"
    return _error(status, body, headers)


def _framework_error(error: HTTPException) -> Response:
    """What routing and the reader of bodies say; paths and methods have the status as their code."""
    code = getattr(error, "code", HTTPStatus(error.status_code).name.lower())
    return _error(error.status_code, {"error": str(error.detail), "code": code}, error.headers)


def _error(status: int, body: Mapping[str, str], headers: Mapping[str, str] | None) -> Response:
    return Response(json.dumps(body), status, headers, media_type="application/json")
