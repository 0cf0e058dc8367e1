"""The shapes of `/v2` for the OpenAPI document: bodies, answers and errors, with examples."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHAPE: Schema = {"type": "array", "items": {"type": "integer"}}


def object_of(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these properties."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def list_of(items: Schema) -> Schema:
    """An array of these."""
    return {"type": "array", "items": items}


def answer(description: str, schema: Schema, example: Any) -> dict[str, Any]:
    """An answer in JSON."""
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


RETRY_AFTER = {
    "Retry-After": {
        "description": "Come back after so many seconds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
ERROR = object_of({"error": TEXT, "code": TEXT}, {"verdict": {"enum": ["Undefined"]}})


def error(
    description: str, text: str, code: str, *, undefined: bool = False, retry: bool = False
) -> dict[str, Any]:
    """An error with its text; undefined: the picture may well be good."""
    example = {"error": text, "code": code}
    if undefined:
        example["verdict"] = "Undefined"
    return answer(description, ERROR, example) | ({"headers": RETRY_AFTER} if retry else {})


INVALID = error(
    "Tensors, parameters or a picture cannot be used.",
    "Input 'pictures' must be of datatype BYTES, not 'FP32'.",
    "invalid_request",
)
UNKNOWN_MODEL = error(
    "No such model or version.",
    "There is no model 'x'; there are: nano, nano_raw.",
    "unknown_model",
)
UNEXPECTED = error(
    "Unexpected; the server's log has the cause under the id.",
    "Unexpected error; the server's log has it under the id 4b1d5c0f7a12.",
    "internal_error",
    undefined=True,
)
TOO_SLOW = error(
    "The body came too slowly.", "The body did not arrive within 30 s.", "body_too_slow"
)
TOO_LARGE = error(
    "Too many bytes.", "The body is larger than the bytes allowed here.", "too_many_bytes"
)
ENCODED = error(
    "A body in another encoding.",
    "The body must not be compressed; send it as it is.",
    "unsupported_media_type",
)
BUSY = error(
    "The queue is full.",
    "The queue is full; try again in 1.5 s.",
    "queue_full",
    undefined=True,
    retry=True,
)
UNAVAILABLE = error(
    "Not ready, or no verdict by the deadline.",
    "Not ready (draining); try again in 2.0 s.",
    "not_ready",
    undefined=True,
    retry=True,
)
OF_BODIES = {408: TOO_SLOW, 413: TOO_LARGE, 415: ENCODED, 429: BUSY, 503: UNAVAILABLE}

TENSOR = object_of({"name": TEXT, "datatype": TEXT, "shape": SHAPE})
METADATA = object_of(
    {
        "name": TEXT,
        "versions": list_of(TEXT),
        "platform": TEXT,
        "inputs": list_of(TENSOR),
        "outputs": list_of(TENSOR),
    }
)
METADATA_EXAMPLE = {
    "name": "nano",
    "versions": ["0.1.0"],
    "platform": "flawline",
    "inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "verdict", "datatype": "BYTES", "shape": [-1]}],
}
DURATION = object_of({"count": COUNT, "ns": COUNT})
FIGURES = object_of(
    {
        "name": TEXT,
        "version": TEXT,
        "last_inference": COUNT,
        "inference_count": COUNT,
        "execution_count": COUNT,
        "inference_stats": {"type": "object", "additionalProperties": DURATION},
        "batch_stats": list_of(object_of({"batch_size": COUNT, "compute_infer": DURATION})),
    }
)
STATISTICS = object_of({"model_stats": list_of(FIGURES)})
STATISTICS_EXAMPLE = {
    "model_stats": [
        {
            "name": "nano",
            "version": "0.1.0",
            "last_inference": 1769847330123,
            "inference_count": 3,
            "execution_count": 2,
            "inference_stats": {"success": {"count": 3, "ns": 41_000_000}},
            "batch_stats": [{"batch_size": 1, "compute_infer": {"count": 1, "ns": 9_000_000}}],
        }
    ]
}
CONFIG_TENSOR = object_of({"name": TEXT, "data_type": TEXT, "dims": SHAPE})
CONFIG = object_of(
    {
        "name": TEXT,
        "platform": TEXT,
        "backend": TEXT,
        "max_batch_size": COUNT,
        "input": list_of(CONFIG_TENSOR),
        "output": list_of(CONFIG_TENSOR),
    }
)
CONFIG_EXAMPLE = {
    "name": "nano_raw",
    "platform": "onnx_onnxv1",
    "backend": "flawline",
    "max_batch_size": 8,
    "input": [{"name": "images", "data_type": "TYPE_UINT8", "dims": [1, 256, 256]}],
    "output": [{"name": "scores", "data_type": "TYPE_FP32", "dims": [-1, 6]}],
}
PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
REQUEST = object_of(
    {
        "inputs": list_of(
            object_of(
                {
                    "name": TEXT,
                    "datatype": TEXT,
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                },
                {"data": {"type": "array"}, "parameters": PARAMETERS},
            )
        )
    },
    {
        "id": TEXT,
        "parameters": PARAMETERS,
        "outputs": list_of(object_of({"name": TEXT}, {"parameters": PARAMETERS})),
    },
)
REQUEST_EXAMPLE = {
    "id": "4711",
    "parameters": {"line": "press-2", "part_id": "SN-0042", "timeout": 500000},
    "inputs": [
        {"name": "pictures", "datatype": "BYTES", "shape": [1], "data": ["<picture in base64>"]}
    ],
    "outputs": [{"name": "verdict"}],
}
RESPONSE = object_of(
    {
        "model_name": TEXT,
        "model_version": TEXT,
        "outputs": list_of(
            object_of(
                {"name": TEXT, "datatype": TEXT, "shape": SHAPE},
                {"data": {"type": "array"}, "parameters": PARAMETERS},
            )
        ),
    },
    {"id": TEXT, "parameters": PARAMETERS},
)
RESPONSE_EXAMPLE = {
    "model_name": "nano",
    "model_version": "0.1.0",
    "id": "4711",
    "outputs": [{"name": "verdict", "datatype": "BYTES", "shape": [1], "data": ["NotOK"]}],
}
BINARY: Schema = {"schema": {"type": "string", "format": "binary"}}
JSON_LENGTH: Schema = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "required": False,
    "description": "How many bytes of the body are JSON, where binary tensors follow. 0: the body "
    "is the one tensor alone, for `<name>` the picture file.",
    "schema": {"type": "integer", "minimum": 0},
}
INFERRED = answer("The outputs.", RESPONSE, RESPONSE_EXAMPLE)
INFERRED["content"]["application/octet-stream"] = BINARY
INFERRED["headers"] = {
    "Inference-Header-Content-Length": {
        "description": "How many bytes of the body are JSON, where binary tensors follow.",
        "schema": {"type": "integer"},
    }
}
READY_OF_MODEL = object_of({"name": TEXT, "ready": {"type": "boolean"}})
READY = object_of({"ready": {"type": "boolean"}})
COMMAND = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": object_of(
                    {},
                    {
                        "parameters": object_of({}, {"version": TEXT})
                        | {"additionalProperties": False}
                    },
                ),
                "example": {"parameters": {"version": "0.1.0"}},
            }
        },
    }
}
