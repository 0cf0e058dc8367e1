"""Whether the compressed pixels of a PNG are all there: what is missing in whole rows, Pillow takes for black."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_SIGNATURE_BYTES = 8
_HEAD_BYTES = 8
_CRC_BYTES = 4
_INFLATED_AT_ONCE = 256 * 1024
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the colour type."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip
"""The passes of an interlaced PNG: where each starts, and its steps, across and down."""
_AT_ONCE = ((0, 0, 1, 1),)


def has_all_rows(data: bytes) -> bool:
    """Whether so many bytes are compressed in it as its header says. It must have been read once without an error."""
    wanted = _bytes_of_rows(data)
    inflate = zlib.decompressobj()
    for piece in _compressed(data):
        rest = piece
        # Never all at once, nor more than is wanted: behind its rows a picture of some kB may hold gigabytes.
        while wanted > 0 and (inflated := inflate.decompress(rest, _INFLATED_AT_ONCE)):
            wanted -= len(inflated)
            rest = inflate.unconsumed_tail
    return wanted <= 0


def _bytes_of_rows(data: bytes) -> int:
    """By the header: each row is its samples in whole bytes, and one byte that says how they are filtered."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    bits, interlaced = data[24] * _CHANNELS[data[25]], data[28] == 1
    total = 0
    for left, top, across, down in _ADAM7 if interlaced else _AT_ONCE:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _compressed(data: bytes) -> Iterator[bytes]:
    position = _SIGNATURE_BYTES
    while head := data[position : position + _HEAD_BYTES]:
        start = position + _HEAD_BYTES
        end = start + int.from_bytes(head[:4], "big")
        if head[4:] == b"IDAT":
            yield data[start:end]
        position = end + _CRC_BYTES
