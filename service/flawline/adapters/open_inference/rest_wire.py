"""Bodies of the REST face: JSON, and JSON followed by binary tensors (the binary tensor data extension)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from flawline.adapters.open_inference.catalogue import ServedModel
from flawline.adapters.open_inference.errors import invalid, shown
from flawline.adapters.open_inference.messages import Call, InferRequest, InferResponse, Parameter
from flawline.adapters.open_inference.tensors import (
    ANY_SIZE,
    BYTES,
    Elements,
    InputTensor,
    TensorSpec,
    from_json,
    from_raw,
    to_json,
    to_raw,
)

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
_MOST_DIGITS = 18  # of a number of bytes; Python refuses to read thousands of them
_LARGEST_SIZE = 2**63 - 1
_NOT_SERVED = ("shared_memory_region", "classification")


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request, and which of its outputs are to come as binary tensors."""

    request: InferRequest
    is_binary: Callable[[str], bool]


def split(body: bytes, json_length: str | None) -> tuple[memoryview, memoryview]:
    """JSON and binary part; json_length: the header's value, None for no binary part."""
    view = memoryview(body)
    if json_length is None:
        return view, view[len(body) :]
    digits = len(json_length) <= _MOST_DIGITS and json_length.isascii() and json_length.isdecimal()
    if not digits:
        raise invalid(f"{JSON_LENGTH_HEADER} must be a number of bytes, not {shown(json_length)}.")
    length = int(json_length)
    if length > len(body):
        raise invalid(
            f"{JSON_LENGTH_HEADER} is {shown(json_length)}, but the body has {len(body)} bytes."
        )
    return view[:length], view[length:]


def raw_request(model: ServedModel, version: str, body: memoryview, call: Call) -> RestRequest:
    """The whole body is the one input's only tensor: a picture file, or the bytes of the images."""
    (spec,) = model.inputs
    if spec.datatype == BYTES:
        tensor = InputTensor(spec.name, BYTES, (1,), lambda _spec, _count: [bytes(body)])
    else:
        fixed_bytes = prod(size for size in spec.shape if size != ANY_SIZE)
        count = len(body) // fixed_bytes  # what is left over is noticed when it is read
        shape = tuple(count if size == ANY_SIZE else size for size in spec.shape)
        tensor = InputTensor(spec.name, spec.datatype, shape, _binary_reader(body))
    request = InferRequest(model.name, version, (tensor,), call=call)
    return RestRequest(request, lambda _: True)


def parsed_json(text: memoryview, most_values: int) -> dict[str, Any]:
    """A JSON object; one with more values than any request needs is not even read."""
    content = bytes(text)
    if content.count(b",") > most_values:
        raise invalid("The JSON holds more values than any model here takes.")
    try:
        document = json.loads(
            content, parse_constant=_no_number, object_pairs_hook=_with_each_key_once
        )
    except (ValueError, RecursionError) as error:
        raise invalid(
            f"The body must be JSON. What follows the JSON, and a picture alone, is announced by "
            f"{JSON_LENGTH_HEADER}: the length of the JSON, 0 without any."
        ) from error
    if not isinstance(document, dict):
        raise invalid("The body must be a JSON object.")
    return document


def infer_request(
    model: str, version: str, document: Mapping[str, Any], binary: memoryview, call: Call
) -> RestRequest:
    """Raises OpenInferenceError where the document is not what the protocol says."""
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise invalid("id must be text.")
    parameters = _parameters(document)
    inputs = []
    for fields in _objects(document, "inputs"):
        tensor, binary = _input(fields, binary)
        inputs.append(tensor)
    if len(binary):
        raise invalid(f"{len(binary)} bytes are left over behind the binary tensors.")
    outputs = _objects(document, "outputs")
    names = tuple(_text(fields, "name", "an output") for fields in outputs)
    by_default = _flag(parameters, "binary_data_output", False)
    flags = {
        name: _output_flag(fields, by_default) for name, fields in zip(names, outputs, strict=True)
    }
    request = InferRequest(model, version, tuple(inputs), names, request_id, parameters, call)
    return RestRequest(request, lambda name: flags.get(name, by_default))


def infer_response(
    response: InferResponse, is_binary: Callable[[str], bool]
) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where binary tensors follow."""
    outputs, tail = [], []
    for tensor in response.outputs:
        fields: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if is_binary(tensor.name):
            raw = to_raw(tensor)
            fields["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            fields["data"] = to_json(tensor)
        outputs.append(fields)
    document = {
        "model_name": response.model,
        "model_version": response.version,
        **({"id": response.request_id} if response.request_id else {}),
        **({"parameters": dict(response.parameters)} if response.parameters else {}),
        "outputs": outputs,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    return b"".join((text, *tail)), len(text) if tail else None


def _input(fields: Mapping[str, Any], binary: memoryview) -> tuple[InputTensor, memoryview]:
    """An input, and what is left of the binary part behind it."""
    name = _text(fields, "name", "an input")
    parameters = _parameters(fields)
    _refuse_unserved(parameters)
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in fields):
        raise invalid(f"Input {shown(name)} must have either data or parameters.binary_data_size.")
    datatype = _text(fields, "datatype", f"input {shown(name)}")
    shape = _shape(fields, name)
    if size is None:
        return InputTensor(name, datatype, shape, _json_reader(fields["data"])), binary
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(binary):
        raise invalid(
            f"binary_data_size of input {shown(name)} is {shown(str(size))}, but {len(binary)} "
            "bytes are left behind the JSON."
        )
    return InputTensor(name, datatype, shape, _binary_reader(binary[:size])), binary[size:]


def _json_reader(data: Any) -> Callable[[TensorSpec, int], Elements]:
    return lambda spec, count: from_json(spec, count, data)


def _binary_reader(raw: memoryview) -> Callable[[TensorSpec, int], Elements]:
    return lambda spec, count: from_raw(spec, count, raw)


def _shape(fields: Mapping[str, Any], name: str) -> tuple[int, ...]:
    shape = fields.get("shape")
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        raise invalid(f"The shape of input {shown(name)} must be an array of sizes.")
    return tuple(shape)


def _is_size(size: object) -> bool:
    """As gRPC has them: of 64 bits. What is larger could not even be told in an error message."""
    return type(size) is int and 0 <= size <= _LARGEST_SIZE


def _parameters(fields: Mapping[str, Any]) -> dict[str, Parameter]:
    parameters = fields.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid("parameters must be an object.")
    for name, value in parameters.items():
        if not isinstance(value, (bool, int, float, str)):
            raise invalid(f"Parameter {shown(name)} must be text, a number, true or false.")
    return parameters


def _objects(document: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    objects = document.get(field, [])
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise invalid(f"{field} must be an array of objects.")
    return objects


def _text(fields: Mapping[str, Any], field: str, whose: str) -> str:
    value = fields.get(field)
    if not isinstance(value, str):
        raise invalid(f"{field} of {whose} must be text.")
    return value


def _flag(parameters: Mapping[str, Parameter], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise invalid(f"Parameter {name!r} must be true or false.")
    return value


def _output_flag(fields: Mapping[str, Any], by_default: bool) -> bool:
    parameters = _parameters(fields)
    _refuse_unserved(parameters)
    return _flag(parameters, "binary_data", by_default)


def _refuse_unserved(parameters: Mapping[str, Parameter]) -> None:
    for name in _NOT_SERVED:
        if parameters.get(name):
            raise invalid(f"Parameter {name!r} is not served here.")


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object. Of a key that stands twice, nobody knows which one is meant: two `min_score`, two `data`."""
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise invalid(f"Give each key of a JSON object once; repeated: {shown(key)}.")
        fields[key] = value
    return fields


def _no_number(word: str) -> Any:
    raise ValueError(word)
