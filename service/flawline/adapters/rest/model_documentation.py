"""What the OpenAPI document says of the routes that show and change models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from flawline.adapters.rest.documentation import READY_RESPONSES, Responses, problem_answer
from flawline.adapters.rest.model_schemas import RollBackBody, StableBody
from flawline.adapters.rest.problems import make_problem
from flawline.adapters.rest.schemas import FieldFault

_OFF = problem_answer(
    "Models may not be changed over the network here.",
    make_problem(403, "model_control_off", "Models cannot be changed over the network here."),
)
_UNKNOWN = problem_answer(
    "No such model.",
    make_problem(404, "unknown_model", "There is no model 'x' here; there are: tiny 1.2.3."),
)
_CONFLICT = problem_answer(
    "The change does not fit what runs now; `code` says which: `models_rolled_out` (scaled out, "
    "models change with the workers), `change_in_progress` (one at a time; with Retry-After), "
    "`too_many_models`, `model_is_stable`, `stable_changed`, `no_earlier_model`.",
    make_problem(
        409, "change_in_progress", "Another change of models is going on; try again later."
    ),
)
_UNUSABLE = problem_answer(
    "The artifact cannot be used, and nothing has changed; `reason` says why: `missing_artifact`, "
    "`not_an_artifact`, `unknown_contract`, `invalid_manifest`, `hash_mismatch`, "
    "`ambiguous_artifact`, `graph_mismatch`, `device_unavailable`, `self_test_failed`, "
    "`load_timeout`, `load_failed`, `engine_stuck`, `worker_failed`. Or the request is malformed.",
    make_problem(
        422,
        "unusable_artifact",
        "tiny 1.2.4 failed its self test: its numbers are not finite.",
        reason="self_test_failed",
    ),
)
_TOO_LARGE = problem_answer(
    "The body is too large.",
    make_problem(413, "too_many_bytes", "The body is larger than the 4096 bytes allowed here."),
)
_NO_JSON = problem_answer(
    "The body is not said to be JSON.",
    make_problem(415, "unsupported_media_type", "Send application/json."),
)
_SLOW = problem_answer(
    "The body came too slowly.",
    make_problem(408, "body_too_slow", "The body did not arrive within 30 s."),
)
_GONE = problem_answer(
    "The connection broke within the body.",
    make_problem(400, "client_gone", "The connection was closed within the body."),
)
_MALFORMED = problem_answer(
    "The request is malformed.",
    make_problem(
        422,
        "invalid_request",
        "name: Field required.",
        errors=[FieldFault(field="name", detail="Field required.")],
    ),
)

_CHANGE: Responses = {403: _OFF, 404: _UNKNOWN, 409: _CONFLICT, **READY_RESPONSES}
_BODY: Responses = {400: _GONE, 408: _SLOW, 413: _TOO_LARGE, 415: _NO_JSON}

MODEL_RESPONSES: Responses = {404: _UNKNOWN, 422: _MALFORMED}
LOAD_RESPONSES: Responses = {
    200: {"description": "It was loaded already."},
    201: {
        "description": "Loaded, warmed up and tested.",
    },
    422: _UNUSABLE,
    **_CHANGE,
}
UNLOAD_RESPONSES: Responses = {
    204: {"description": "It answered what it was asked, and is gone."},
    422: _MALFORMED,
    **_CHANGE,
}
SWITCH_RESPONSES: Responses = {422: _UNUSABLE, **_CHANGE, **_BODY}
ROLL_BACK_RESPONSES: Responses = SWITCH_RESPONSES


def json_body(schema: type[BaseModel]) -> dict[str, Any]:
    """A body that the route reads itself, within a limit."""
    content = {"application/json": {"schema": _flat(schema)}}
    return {"requestBody": {"required": True, "content": content}}


def _flat(schema: type[BaseModel]) -> dict[str, Any]:
    """The schema without definitions beside it, which have no place here."""
    document = schema.model_json_schema()
    definitions = document.pop("$defs", {})
    for name, field in document["properties"].items():
        if "$ref" in field:
            target = definitions[field["$ref"].rsplit("/", 1)[-1]]
            document["properties"][name] = {
                **target,
                **{k: v for k, v in field.items() if k != "$ref"},
            }
    return document


STABLE_BODY = json_body(StableBody)
ROLL_BACK_BODY = json_body(RollBackBody)
