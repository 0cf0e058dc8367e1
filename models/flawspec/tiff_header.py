"""The first directory (IFD) of a TIFF structure: a TIFF file, or the EXIF of a JPEG or PNG.

Read here, before Pillow sees the bytes, because Pillow keeps a Python object for each of a
directory's numbers: a file of a few megabytes that declares millions of strips would cost
gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

SUBFILE_TYPE = 254
WIDTH = 256
HEIGHT = 257
BITS_PER_SAMPLE = 258
PHOTOMETRIC = 262
ORIENTATION = 274
WHITE_IS_ZERO = 0

_SHORT, _LONG = 3, 4
_TEXT_LIKE = (1, 2, 6, 7)
"""Types of one byte an item: Pillow keeps them as one object."""
_ENTRY_BYTES = 12


@dataclass(frozen=True)
class TiffHeader:
    """Single 16 and 32 bit integers by tag, the length of the longest list, and whether a page follows."""

    firsts: Mapping[int, int]
    longest_list: int
    has_next: bool = False


def read_tiff_header(data: bytes, start: int = 0) -> TiffHeader:
    """Reads the directory of the TIFF structure at offset `start`.

    Raises ValueError when there is none (BigTIFF, which only files beyond 4 GB need, included).
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[start : start + 4])
    if order is None:
        raise ValueError("no TIFF header")
    try:
        (offset,) = struct.unpack_from(order + "I", data, start + 4)
        (count,) = struct.unpack_from(order + "H", data, start + offset)
        first_entry = start + offset + 2
        entries = struct.iter_unpack(
            order + "HHI4s", data[first_entry : first_entry + count * _ENTRY_BYTES]
        )
        end = first_entry + count * _ENTRY_BYTES
        # Some writers end the file here: then nothing follows.
        following = int.from_bytes(data[end : end + 4], "little" if order == "<" else "big")
        firsts: dict[int, int] = {}
        longest_list = 0
        for tag, kind, length, value in entries:
            if kind not in _TEXT_LIKE:
                longest_list = max(longest_list, length)
            if length == 1 and kind in (_SHORT, _LONG):
                (firsts[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), value)
    except struct.error as error:
        raise ValueError("a damaged TIFF header") from error
    return TiffHeader(firsts, longest_list, 0 < following < len(data) - start)
