"""Whether a JPEG holds further views of what it shows (CIPA DC-007, Multi-Picture Format: MPO)."""

from __future__ import annotations

import struct

_PICTURES = 0xB002
_MULTI_FRAME = 0x02
"""The upper byte of a picture's type: panorama, disparity, several angles. Others are previews and the like."""


def has_further_view(index: bytes) -> bool:
    """Whether a picture behind the first one is a view of its own.

    index: what stands behind `MPF` in the marker, a TIFF structure. Of a damaged one nothing is said.
    """
    order = "<" if index.startswith(b"II") else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, offset)
        entries = struct.iter_unpack(order + "HHII", index[offset + 2 : offset + 2 + count * 12])
        for place, length in ((entry[3], entry[2]) for entry in entries if entry[0] == _PICTURES):
            pictures = struct.iter_unpack(order + "I12x", index[place : place + length])
            return any(type_ >> 16 & 0xFF == _MULTI_FRAME for (type_,) in list(pictures)[1:])
    except struct.error:
        pass
    return False
