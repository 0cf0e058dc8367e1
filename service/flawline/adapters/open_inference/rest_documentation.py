"""What the OpenAPI document says of `/v2`: every route with its body, its answers and errors."""

from __future__ import annotations

from typing import Any

from flawline.adapters.open_inference import rest_schemas as schemas
from flawline.adapters.open_inference.descriptions import server_metadata

_INFER_DESCRIPTION = """\
`<name>` takes `pictures`, BYTES [N]: picture files, in JSON as base64. It gives `boxes` FP32 [M,4]
(x_min, y_min, x_max, y_max, in the pixels of the picture), `scores` FP32 [M], `image_index` INT32 [M],
`classes` BYTES [M] and `verdict` BYTES [N]. A picture without a verdict is `Undefined`, with the reason
in `parameters`; when none has one, the call fails.

`<name>_raw` takes and gives the tensors of the network itself (where the api inspects by itself).

Parameters: `line`, `part_id`, `recipe`, `min_score`, `priority` (1 the highest to 3, 0 default),
`timeout` (microseconds)."""

SERVER: dict[str, Any] = {
    "summary": "What serves",
    "responses": {
        200: schemas.answer(
            "Name, version, extensions.",
            schemas.object_of(
                {
                    "name": schemas.TEXT,
                    "version": schemas.TEXT,
                    "extensions": schemas.list_of(schemas.TEXT),
                }
            ),
            server_metadata(),
        )
    },
}
LIVE: dict[str, Any] = {
    "summary": "Does the process answer",
    "responses": {
        200: schemas.answer("Yes.", schemas.object_of({"live": {"const": True}}), {"live": True})
    },
}
READY: dict[str, Any] = {
    "summary": "Is work accepted",
    "responses": {
        200: schemas.answer("Yes.", schemas.READY, {"ready": True}),
        503: schemas.answer("Not now.", schemas.READY, {"ready": False}),
    },
}
METADATA: dict[str, Any] = {
    "summary": "A model's tensors",
    "responses": {
        200: schemas.answer("-1 stands for any size.", schemas.METADATA, schemas.METADATA_EXAMPLE),
        404: schemas.UNKNOWN_MODEL,
    },
}
MODEL_READY: dict[str, Any] = {
    "summary": "Can this model be asked",
    "responses": {
        200: schemas.answer("Yes.", schemas.READY_OF_MODEL, {"name": "nano", "ready": True}),
        404: schemas.UNKNOWN_MODEL,
        503: schemas.answer("Not now.", schemas.READY_OF_MODEL, {"name": "nano", "ready": False}),
    },
}
CONFIG: dict[str, Any] = {
    "summary": "A model's tensors and limits, in the words of a Triton configuration",
    "responses": {
        200: schemas.answer("Dims are without the batch.", schemas.CONFIG, schemas.CONFIG_EXAMPLE),
        404: schemas.UNKNOWN_MODEL,
    },
}
STATISTICS: dict[str, Any] = {
    "summary": "How often a model was asked, and how long it took",
    "responses": {
        200: schemas.answer(
            "Since the process began.", schemas.STATISTICS, schemas.STATISTICS_EXAMPLE
        ),
        404: schemas.UNKNOWN_MODEL,
    },
}
ALL_STATISTICS: dict[str, Any] = {
    "summary": "How often each model was asked, and how long it took",
    "responses": {
        200: schemas.answer(
            "Since the process began.", schemas.STATISTICS, schemas.STATISTICS_EXAMPLE
        )
    },
}
INFER: dict[str, Any] = {
    "summary": "Ask a model",
    "description": _INFER_DESCRIPTION,
    "responses": {
        200: schemas.INFERRED,
        400: schemas.INVALID,
        404: schemas.UNKNOWN_MODEL,
        **schemas.OF_BODIES,
        500: schemas.UNEXPECTED,
    },
    "openapi_extra": {
        "parameters": [schemas.JSON_LENGTH],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schemas.REQUEST, "example": schemas.REQUEST_EXAMPLE},
                "application/octet-stream": schemas.BINARY,
            },
        },
    },
}
INDEX: dict[str, Any] = {
    "summary": "Every model that is loaded or could be",
    "responses": {
        200: schemas.answer(
            "Name, version, state, and what is wrong.",
            schemas.list_of(
                schemas.object_of(
                    {
                        "name": schemas.TEXT,
                        "version": schemas.TEXT,
                        "state": schemas.TEXT,
                        "reason": schemas.TEXT,
                    }
                )
            ),
            [{"name": "nano", "version": "0.1.0", "state": "READY", "reason": ""}],
        ),
        400: schemas.INVALID,
        **schemas.OF_BODIES,
    },
    "openapi_extra": {
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {
                    "schema": schemas.object_of({}, {"ready": {"type": "boolean"}}),
                    "example": {"ready": True},
                }
            },
        }
    },
}
_CHANGED = {
    200: {"description": "Done."},
    400: schemas.INVALID,
    403: schemas.error(
        "Models may not be changed over the network.",
        "Models cannot be changed over the network here.",
        "model_control_off",
    ),
    404: schemas.UNKNOWN_MODEL,
    409: schemas.error(
        "The change does not fit what runs now.",
        "'nano' version '0.1.0' is stable; make another one stable before unloading it.",
        "model_is_stable",
    ),
    **schemas.OF_BODIES,
    500: schemas.UNEXPECTED,
}
LOAD: dict[str, Any] = {
    "summary": "Load a model",
    "responses": _CHANGED,
    "openapi_extra": schemas.COMMAND,
}
UNLOAD: dict[str, Any] = {
    "summary": "Unload a model",
    "responses": _CHANGED,
    "openapi_extra": schemas.COMMAND,
}
