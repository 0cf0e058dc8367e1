"""Tensors between the wire's three spellings (raw bytes, JSON, typed lists) and numpy.

A tensor of datatype BYTES is a list of byte strings here, any other one a numpy array. Raw bytes are
row-major and little-endian; an element of BYTES is its length (uint32) and its bytes.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawline.adapters.open_inference.errors import invalid, shown

BYTES = "BYTES"
ANY_SIZE = -1
Elements = list[bytes] | NDArray[Any]

# The datatypes of the models served here.
NUMPY_TYPES = {"UINT8": "<u1", "INT32": "<i4", "FP32": "<f4"}
_LENGTH = struct.Struct("<I")
_DEEPEST = 8  # no tensor here has as many dimensions


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model takes or gives: -1 in the shape stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor with its elements, flat for BYTES, else of its shape."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Elements


@dataclass(frozen=True, slots=True)
class InputTensor:
    """An input as it came.

    read: takes its elements from the wire, once datatype and shape are known to be right.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    read: Callable[[TensorSpec, int], Elements]

    def checked(self, spec: TensorSpec) -> Tensor:
        """The tensor, which keeps `spec`. Raises OpenInferenceError."""
        if self.datatype != spec.datatype:
            raise invalid(
                f"Input {spec.name!r} must be of datatype {spec.datatype}, not "
                f"{shown(self.datatype)}."
            )
        agree = len(self.shape) == len(spec.shape) and all(
            have == want or (want == ANY_SIZE and have > 0)
            for have, want in zip(self.shape, spec.shape, strict=True)
        )
        if not agree:
            raise invalid(
                f"Input {spec.name!r} must have the shape {list(spec.shape)} (-1: any size above 0), "
                f"not {shown(str(list(self.shape)))}."
            )
        elements = self.read(spec, prod(self.shape))
        if not isinstance(elements, list):
            elements = elements.reshape(self.shape)
        return Tensor(spec.name, spec.datatype, self.shape, elements)


def from_raw(spec: TensorSpec, count: int, raw: bytes | memoryview) -> Elements:
    """`count` elements from their raw bytes. Raises OpenInferenceError when there are more or less."""
    if spec.datatype == BYTES:
        # One too many tells enough: a request has room for millions of empty ones.
        elements = list(islice(_split(spec.name, raw), min(count, len(raw)) + 1))
        require_count(spec.name, len(elements), count)
        return elements
    dtype = np.dtype(NUMPY_TYPES[spec.datatype])
    if len(raw) != count * dtype.itemsize:
        raise invalid(
            f"Input {spec.name!r} has {len(raw)} bytes, but its shape asks for "
            f"{count * dtype.itemsize}."
        )
    return np.frombuffer(raw, dtype)


def from_json(spec: TensorSpec, count: int, data: Any) -> Elements:
    """`count` elements from JSON, nested or flat; those of BYTES as base64.

    JSON has no byte strings, and a picture is no text. Raises OpenInferenceError.
    """
    flat = list(_flattened(spec.name, data, _DEEPEST))
    require_count(spec.name, len(flat), count)
    if spec.datatype == BYTES:
        return [_unpacked(spec.name, element) for element in flat]
    return from_numbers(spec, count, flat)


def from_numbers(spec: TensorSpec, count: int, numbers: Sequence[Any]) -> Elements:
    """`count` elements of an integer datatype from numbers. Raises OpenInferenceError."""
    require_count(spec.name, len(numbers), count)
    limits = np.iinfo(np.dtype(NUMPY_TYPES[spec.datatype]))
    if any(type(number) is not int for number in numbers):
        raise invalid(f"Input {spec.name!r} must hold whole numbers.")
    if numbers and not limits.min <= min(numbers) <= max(numbers) <= limits.max:
        raise invalid(
            f"Input {spec.name!r} must hold numbers from {limits.min} to {limits.max} "
            f"({spec.datatype})."
        )
    return np.array(numbers, dtype=limits.dtype)


def to_raw(tensor: Tensor) -> bytes:
    """The elements as raw bytes."""
    if isinstance(tensor.elements, list):
        return b"".join(_LENGTH.pack(len(e)) + e for e in tensor.elements)
    return np.ascontiguousarray(tensor.elements, NUMPY_TYPES[tensor.datatype]).tobytes()


def to_json(tensor: Tensor) -> list[Any]:
    """The elements as JSON has them, flat; those of BYTES are texts here."""
    if isinstance(tensor.elements, list):
        return [element.decode("utf-8") for element in tensor.elements]
    flat: list[Any] = tensor.elements.ravel().tolist()
    return flat


def _split(name: str, raw: bytes | memoryview) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        begin = at + _LENGTH.size
        if begin > len(raw):
            raise invalid(f"Input {name!r} ends within the length of an element.")
        at = begin + _LENGTH.unpack_from(raw, at)[0]
        if at > len(raw):
            raise invalid(f"Input {name!r} ends within an element: its length says more.")
        yield bytes(raw[begin:at])


def _flattened(name: str, data: Any, deepest: int) -> Iterator[Any]:
    if not isinstance(data, list):
        raise invalid(f"The data of input {name!r} must be an array.")
    for element in data:
        if not isinstance(element, list):
            yield element
        elif deepest:
            yield from _flattened(name, element, deepest - 1)
        else:
            raise invalid(f"The data of input {name!r} is nested too deep.")


def _unpacked(name: str, element: Any) -> bytes:
    try:
        return base64.b64decode(element, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise invalid(
            f"In JSON each element of input {name!r} must be text in base64; or send it as binary "
            "tensor data."
        ) from None


def require_count(name: str, have: int, want: int) -> None:
    """Raises OpenInferenceError when shape and elements do not agree."""
    if have != want:
        found = f"{have} or more" if have > want else f"{have}"
        raise invalid(f"Input {name!r} has {found} elements, but its shape asks for {want}.")
