"""Requests and answers as both faces understand them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flawline.adapters.open_inference.tensors import InputTensor, Tensor

Parameter = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Call:
    """What comes with a request, but not in it; as in `InspectionRequest`.

    remaining_ms: what the transport leaves until its own deadline, None without one.
    """

    traceparent: str | None = None
    idempotency_key: str | None = None
    caller: str = ""
    remaining_ms: int | None = None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Tensors for a model. version: "" for any. outputs: wanted ones by name; none for all."""

    model: str
    version: str
    inputs: tuple[InputTensor, ...]
    outputs: tuple[str, ...] = ()
    request_id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    call: Call = field(default_factory=Call)


@dataclass(frozen=True, slots=True)
class InferResponse:
    """A model's answer, its outputs in the order asked for."""

    model: str
    version: str
    outputs: tuple[Tensor, ...]
    request_id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
