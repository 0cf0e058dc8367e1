"""Walking a protobuf message from a seekable stream, without its schema and without loading it.

Only what reading ONNX metadata needs: it yields every field of one message, and large ones are
sought past. Garbage ends in ValueError after bounded work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10
_MAX_FIELD_NUMBER = 2**29 - 1


def walk_fields(stream: BinaryIO, end: int, max_fields: int) -> Iterator[tuple[int, int, int]]:
    """Yields (field number, wire type, length of the payload) for each field up to offset `end`.

    While a field is being looked at, the stream stands at its payload; the caller may read it or
    leave it. Raises ValueError when the bytes are no protobuf message or hold more than
    `max_fields` fields.
    """
    for _ in range(max_fields):
        if stream.tell() == end:
            return
        key = _varint(stream)
        number, wire_type = key >> 3, key & 7
        if not 1 <= number <= _MAX_FIELD_NUMBER:
            raise ValueError(f"field number {number}")
        if wire_type == VARINT:
            start = stream.tell()
            _varint(stream)
            length = stream.tell() - start
            stream.seek(start)
        elif wire_type == BYTES:
            length = _varint(stream)
        elif wire_type in _FIXED_LENGTHS:
            length = _FIXED_LENGTHS[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")
        after = stream.tell() + length
        if after > end:
            raise ValueError("a field reaches past the end")
        yield number, wire_type, length
        stream.seek(after)
    raise ValueError(f"more than {max_fields} fields")


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        byte = stream.read(1)
        if not byte:
            raise ValueError("the bytes end within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number longer than 64 bits")
