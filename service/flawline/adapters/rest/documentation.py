"""What the OpenAPI document says beyond the signatures: every body, answer and error."""

from __future__ import annotations

from typing import Any

from flawline.adapters.rest.body import (
    FORM_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    PICTURE_MEDIA_TYPES,
    UNNAMED_MEDIA_TYPE,
)
from flawline.adapters.rest.examples import (
    ANSWER_EXAMPLE,
    EXAMPLE_ID,
    EXAMPLE_PICTURE,
    PART_EXAMPLE,
)
from flawline.adapters.rest.parameters import InspectionQuery
from flawline.adapters.rest.problems import PROBLEM_MEDIA_TYPE, make_problem
from flawline.adapters.rest.schemas import FieldFault, PendingAnswer, Problem
from flawline.application.request import LINE_NAME_RULE
from flawline.core.values import Verdict

DESCRIPTION = """\
Looks at pictures of metal surfaces and says whether the part passes, and where its flaws are.

The verdict is `OK`, `NotOK` or `NotDecidable` (a person must look). In every other case, late or
busy or failing, the status is 429, 503 or 504 and the verdict is `Undefined`: *not evaluated*.

Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents; their `code` is a
stable word for machines, their `detail` a sentence for people.
"""

IDEMPOTENCY_KEY = """\
Repeats of a request under one key get one answer, for as long as the server keeps it; one that runs
is joined. A key belongs to its line. Another picture or recipe under the same key is refused (422).
`Undefined` is not kept: the next repeat is inspected anew."""

PREFER = """\
`respond-async` (RFC 7240): answer 202 at once, with the place where the answer will be in
`Location`. With `wait=N` only after N seconds, when it is not there before. The deadline holds as
ever: by then there is an answer to fetch."""

FETCH = "fetch_inspection"

Responses = dict[int | str, dict[str, Any]]

_FILE = {"type": "string", "format": "binary"}

INSPECTION_BODIES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture file as it is; or one or several in a form, or in JSON.",
        "content": {
            **{
                media_type: {"schema": _FILE}
                for media_type in (*PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE)
            },
            FORM_MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "picture": {**_FILE, "description": "One picture."},
                        "frames": {
                            "type": "array",
                            "items": _FILE,
                            "minItems": 1,
                            "description": "Or the frames of one part, a field for each.",
                        },
                        **InspectionQuery.model_json_schema()["properties"],
                    },
                    "additionalProperties": False,
                    "oneOf": [{"required": ["picture"]}, {"required": ["frames"]}],
                },
            },
            JSON_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/InspectionBody"},
                "examples": {
                    "one picture": {"value": {"picture": EXAMPLE_PICTURE, "line": "press-2"}},
                    "frames of one part": {
                        "value": {
                            "part_id": "SN-0042",
                            "frames": [{"picture": EXAMPLE_PICTURE}, {"picture": EXAMPLE_PICTURE}],
                        }
                    },
                },
            },
        },
    }
}

_WORD = {"schema": {"type": "string", "enum": ["OK", "NotOK", "NotDecidable"]}, "example": "NotOK"}
_UNDEFINED_WORD = {"schema": {"type": "string", "enum": ["Undefined"]}, "example": "Undefined"}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Come back after so many seconds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


def problem_answer(description: str, example: Problem) -> dict[str, Any]:
    """One error answer; those with a verdict can also be had as its bare word."""
    content: dict[str, Any] = {
        PROBLEM_MEDIA_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": example.model_dump(mode="json", exclude_none=True),
        }
    }
    if example.verdict is not None:
        content["text/plain"] = _UNDEFINED_WORD
    headers = {"headers": _RETRY_AFTER} if example.status in (429, 503) else {}
    return {"description": description, "content": content, **headers}


_NOT_READY = problem_answer(
    "Not ready: starting, draining, or the engine has failed.",
    make_problem(
        503,
        "not_ready",
        "Not ready (draining); try again in 2.0 s.",
        verdict=Verdict.UNDEFINED,
        reason="draining",
    ),
)

_LINE_FAULT = f"line must be {LINE_NAME_RULE}."

_EVALUATED = {
    "description": "Evaluated.",
    "content": {
        "application/json": {
            "examples": {
                "one picture": {"value": ANSWER_EXAMPLE},
                "frames of one part": {"value": PART_EXAMPLE},
            }
        },
        "text/plain": _WORD,
    },
}


def _text_header(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "required": True,
        "schema": {"type": "string"},
        "example": example,
    }


def _pending_answer(
    description: str, headers: dict[str, Any], links: dict[str, Any] | None = None
) -> dict[str, Any]:
    example = PendingAnswer(inspection_id=EXAMPLE_ID).model_dump(mode="json")
    return {
        "model": PendingAnswer,
        "description": description,
        "content": {"application/json": {"example": example}, "text/plain": _UNDEFINED_WORD},
        "headers": _RETRY_AFTER | headers,
        "links": links or {},
    }


INSPECT_RESPONSES: Responses = {
    200: _EVALUATED,
    202: _pending_answer(
        "Accepted, and not waited for (`Prefer: respond-async`).",
        {
            "Location": _text_header("Where the answer will be.", "/v1/inspections/" + EXAMPLE_ID),
            "Preference-Applied": _text_header("The preference that led here.", "respond-async"),
        },
        {
            "fetch": {
                "operationId": FETCH,
                "parameters": {"inspection_id": "$response.body#/inspection_id"},
                "description": "Where the answer will be.",
            }
        },
    ),
    400: problem_answer(
        "The form or JSON is malformed, or the connection broke within the body.",
        make_problem(400, "malformed_body", "The form ends before its last boundary."),
    ),
    404: problem_answer(
        "No such recipe, or no such model loaded.",
        make_problem(
            404, "unknown_recipe", "There is no recipe named 'x'; known recipes: default."
        ),
    ),
    408: problem_answer(
        "The body came too slowly.",
        make_problem(408, "body_too_slow", "The body did not arrive within 30 s."),
    ),
    413: problem_answer(
        "Too many bytes, or too many frames.",
        make_problem(
            413, "too_many_bytes", "The body is larger than the 20000000 bytes allowed here."
        ),
    ),
    415: problem_answer(
        "Not a media type, or not a kind of picture, that can be inspected.",
        make_problem(415, "unsupported_media_type", "The body is said to be 'text/html'."),
    ),
    422: problem_answer(
        "The picture or a parameter cannot be used.",
        make_problem(
            422,
            "invalid_request",
            _LINE_FAULT,
            errors=[FieldFault(field="line", detail=_LINE_FAULT)],
        ),
    ),
    429: problem_answer(
        "The queue is full.",
        make_problem(
            429, "queue_full", "The queue is full; try again in 1.5 s.", verdict=Verdict.UNDEFINED
        ),
    ),
    500: problem_answer(
        "Unexpected; the server's log has the cause under the id.",
        make_problem(
            500,
            "internal_error",
            "Unexpected error; the server's log has it under the id 4b1d5c0f7a12.",
            error_id="4b1d5c0f7a12",
            verdict=Verdict.UNDEFINED,
        ),
    ),
    503: _NOT_READY,
    504: problem_answer(
        "Accepted, but no verdict by the deadline, or the inspection failed.",
        make_problem(
            504,
            "deadline",
            "No verdict within 1000 ms.",
            verdict=Verdict.UNDEFINED,
            inspection_id=EXAMPLE_ID,
        ),
    ),
}

_ANSWERS_OF_AN_INSPECTION = (413, 415, 422, 504)
TICKET_RESPONSES: Responses = {
    200: _EVALUATED,
    202: _pending_answer("Not evaluated yet; come back.", {}),
    404: problem_answer(
        "No such inspection, or its answer has expired.",
        make_problem(
            404,
            "unknown_inspection",
            "There is no such inspection here, or its answer has expired.",
        ),
    ),
    **{status: INSPECT_RESPONSES[status] for status in _ANSWERS_OF_AN_INSPECTION},
    500: INSPECT_RESPONSES[500],
    503: problem_answer(
        "The shared queue, which has the answer, is away.",
        make_problem(
            503,
            "not_ready",
            "Not ready (queue_unavailable); try again in 2.0 s.",
            verdict=Verdict.UNDEFINED,
            reason="queue_unavailable",
        ),
    ),
}

READY_RESPONSES: Responses = {503: _NOT_READY}

UNAUTHENTICATED_ANSWER = {
    **problem_answer(
        "No token, or not the one of this service.",
        make_problem(
            401,
            "unauthenticated",
            "A token is needed: send the header 'Authorization: Bearer TOKEN'.",
        ),
    ),
    "headers": {"WWW-Authenticate": _text_header("The challenge.", 'Bearer realm="flawline"')},
}

FOREIGN_PAGE_ANSWER = problem_answer(
    "A page of another site had a browser send this.",
    make_problem(403, "foreign_page", "A page of another site had this browser send the request."),
)

METRICS_RESPONSES: Responses = {
    200: {
        "description": "All metrics.",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "# TYPE flawline_queue_depth gauge\nflawline_queue_depth 0.0\n",
            }
        },
    }
}
