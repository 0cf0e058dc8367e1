"""Messages of the gRPC face to requests and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flawline.adapters.open_inference.errors import invalid, shown
from flawline.adapters.open_inference.messages import Call, InferRequest, InferResponse, Parameter
from flawline.adapters.open_inference.tensors import (
    BYTES,
    Elements,
    InputTensor,
    Tensor,
    TensorSpec,
    from_numbers,
    from_raw,
    require_count,
    to_raw,
)
from flawline.rpc.open_inference import grpc_service_pb2 as pb

# Where the elements of each datatype served here stand in InferTensorContents.
_CONTENTS = {
    BYTES: "bytes_contents",
    "UINT8": "uint_contents",
    "INT32": "int_contents",
    "FP32": "fp32_contents",
}


def request_from_wire(message: pb.ModelInferRequest, call: Call) -> InferRequest:
    """Raises OpenInferenceError where the message contradicts itself."""
    raw = message.raw_input_contents
    if raw and any(tensor.HasField("contents") for tensor in message.inputs):
        raise invalid("Give the elements in contents or in raw_input_contents, not in both.")
    if raw and len(raw) != len(message.inputs):
        raise invalid(
            f"raw_input_contents has {len(raw)} entries for {len(message.inputs)} inputs."
        )
    readers = map(_raw_reader, raw) if raw else map(_contents_reader, message.inputs)
    return InferRequest(
        model=message.model_name,
        version=message.model_version,
        inputs=tuple(
            InputTensor(tensor.name, tensor.datatype, _shape(tensor), read)
            for tensor, read in zip(message.inputs, readers, strict=True)
        ),
        outputs=tuple(output.name for output in message.outputs),
        request_id=message.id,
        parameters=_parameters(message.parameters),
        call=call,
    )


def response_to_wire(response: InferResponse, *, raw: bool) -> pb.ModelInferResponse:
    """The answer, its elements spelled as those of the request were."""
    message = pb.ModelInferResponse(
        model_name=response.model, model_version=response.version, id=response.request_id
    )
    for name, value in response.parameters.items():
        message.parameters[name].string_param = str(value)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw:
            message.raw_output_contents.append(to_raw(tensor))
        else:
            getattr(output.contents, _CONTENTS[tensor.datatype]).extend(_flat(tensor))
    return message


def _raw_reader(raw: bytes) -> Callable[[TensorSpec, int], Elements]:
    return lambda spec, count: from_raw(spec, count, raw)


def _contents_reader(
    tensor: pb.ModelInferRequest.InferInputTensor,
) -> Callable[[TensorSpec, int], Elements]:
    def read(spec: TensorSpec, count: int) -> Elements:
        field = _CONTENTS[spec.datatype]
        stray = [other.name for other, _ in tensor.contents.ListFields() if other.name != field]
        if stray:
            raise invalid(f"The contents of input {spec.name!r} must be in {field}.")
        elements = getattr(tensor.contents, field)
        require_count(spec.name, len(elements), count)  # before millions of empty ones are copied
        return list(elements) if spec.datatype == BYTES else from_numbers(spec, count, elements)

    return read


def _shape(tensor: pb.ModelInferRequest.InferInputTensor) -> tuple[int, ...]:
    if any(size < 0 for size in tensor.shape):
        raise invalid(f"The shape of input {shown(tensor.name)} must be sizes, not negative.")
    return tuple(tensor.shape)


def _parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    values: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise invalid(f"Parameter {shown(name)} has no value.")
        values[name] = getattr(parameter, kind)
    return values


def _flat(tensor: Tensor) -> list[Any]:
    if isinstance(tensor.elements, list):
        return list(tensor.elements)
    flat: list[Any] = tensor.elements.ravel().tolist()
    return flat
