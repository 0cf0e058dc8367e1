"""What the OpenAPI document says beyond the signatures: every body, answer and error."""

from __future__ import annotations

from typing import Any

from flawline.adapters.rest.body import PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE
from flawline.adapters.rest.problems import PROBLEM_MEDIA_TYPE, make_problem
from flawline.adapters.rest.schemas import FieldFault, Problem
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

Responses = dict[int | str, dict[str, Any]]

_EXAMPLE_ID = "0f8fad5bd9cb469fa16570867728950e"

_ANSWER_EXAMPLE = {
    "inspection_id": _EXAMPLE_ID,
    "verdict": "NotOK",
    "reasons": [{"code": "defect", "detail": "1 scratches, highest score 0.87, threshold 0.35"}],
    "detections": [
        {
            "class": "scratches",
            "score": 0.87,
            "box": {"x_min": 12.5, "y_min": 40.0, "x_max": 31.0, "y_max": 188.5},
        }
    ],
    "frame": {"width": 200, "height": 200, "sha256": "9f86d081884c7d659a2feaa0c55ad015" * 2},
    "line": "press-2",
    "part_id": "SN-0042",
    "recipe": {"name": "default", "version": "1"},
    "model": {"name": "mobilemamba-nano-neu", "version": "1.0.0", "sha256": "60303ae22b998861" * 4},
    "created_at": "2026-01-31T08:15:30.123Z",
    "processing_times_ms": {
        "queue": 0.4,
        "decode": 0.9,
        "preprocess": 0.3,
        "inference": 11.2,
        "postprocess": 0.5,
        "total": 13.6,
    },
}


def _binary(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture file as it is.",
        "content": {
            key: value
            for media_type in (*PICTURE_MEDIA_TYPES, UNNAMED_MEDIA_TYPE)
            for key, value in _binary(media_type).items()
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


def _problem_answer(description: str, example: Problem) -> dict[str, Any]:
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


_NOT_READY = _problem_answer(
    "Not ready: starting, draining, or the engine has failed.",
    make_problem(
        503,
        "not_ready",
        "Not ready (draining); try again in 2.0 s.",
        verdict=Verdict.UNDEFINED,
        reason="draining",
    ),
)

_LINE_FAULT = "line must be 1 to 64 letters, digits, '.', '_' or '-'."

INSPECT_RESPONSES: Responses = {
    200: {
        "description": "Evaluated.",
        "content": {"application/json": {"example": _ANSWER_EXAMPLE}, "text/plain": _WORD},
    },
    400: _problem_answer(
        "The connection broke within the body.",
        make_problem(400, "client_gone", "The connection was closed within the body."),
    ),
    404: _problem_answer(
        "No such recipe.",
        make_problem(
            404, "unknown_recipe", "There is no recipe named 'x'; known recipes: default."
        ),
    ),
    408: _problem_answer(
        "The body came too slowly.",
        make_problem(408, "body_too_slow", "The body did not arrive within 30 s."),
    ),
    413: _problem_answer(
        "Too many bytes.",
        make_problem(
            413, "too_many_bytes", "The body is larger than the 20000000 bytes allowed here."
        ),
    ),
    415: _problem_answer(
        "Not a media type, or not a kind of picture, that can be inspected.",
        make_problem(415, "unsupported_media_type", "The body is said to be 'text/html'."),
    ),
    422: _problem_answer(
        "The picture or a parameter cannot be used.",
        make_problem(
            422,
            "invalid_request",
            _LINE_FAULT,
            errors=[FieldFault(field="line", detail=_LINE_FAULT)],
        ),
    ),
    429: _problem_answer(
        "The queue is full.",
        make_problem(
            429, "queue_full", "The queue is full; try again in 1.5 s.", verdict=Verdict.UNDEFINED
        ),
    ),
    500: _problem_answer(
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
    504: _problem_answer(
        "Accepted, but no verdict by the deadline, or the inspection failed.",
        make_problem(
            504,
            "deadline",
            "No verdict within 1000 ms.",
            verdict=Verdict.UNDEFINED,
            inspection_id=_EXAMPLE_ID,
        ),
    ),
}

READY_RESPONSES: Responses = {503: _NOT_READY}

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
