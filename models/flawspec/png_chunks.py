"""The chunks of a PNG, walked without inflating any of them."""

from __future__ import annotations

_SIGNATURE_BYTES = 8
_HEAD_BYTES = 8
_CRC_BYTES = 4
_MOST_CHUNKS = 20_000
"""A picture of 20 MB in the usual pieces of 8 KB has 2,500."""
_COMPRESSED_EXTRAS = frozenset({b"iCCP", b"iTXt", b"zTXt"})
"""Colour profiles and texts: Pillow inflates each as it passes, and says nothing of grey levels with it."""


def without_compressed_extras(data: bytes) -> bytes:
    """The same picture without colour profiles and compressed texts; `data` itself where it has none.

    A kilobyte of them can inflate to a megabyte, and a file may hold thousands. Raises ValueError for a
    file of absurdly many chunks, and where the header is not the first chunk, and only there.
    """
    kept: list[tuple[int, int]] = []
    start, position = 0, _SIGNATURE_BYTES
    for _ in range(_MOST_CHUNKS):
        head = data[position : position + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES:
            break
        # Pillow takes the last one, wherever it stands; what else is read of it here stands in the first chunk.
        if (head[4:] == b"IHDR") != (position == _SIGNATURE_BYTES):
            raise ValueError("the header is not the first chunk")
        end = position + _HEAD_BYTES + int.from_bytes(head[:4], "big") + _CRC_BYTES
        if head[4:] in _COMPRESSED_EXTRAS:
            kept.append((start, position))
            start = end
        position = end
    else:
        raise ValueError("cut into too many chunks")
    if not kept:
        return data
    kept.append((start, len(data)))
    return b"".join(data[first:last] for first, last in kept)
