"""Whether what a TIFF's strips or tiles were compressed to is whole.

libtiff stops reading deflate before its checksum, and of a damaged JPEG it only warns, which Pillow hides: both
came out as pixels. LZW and PackBits carry nothing that could be checked.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

_COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _JPEG_TABLES = 259, 266, 278, 347
_STRIPS, _TILES = (273, 279), (324, 325)
"""Tags of offsets, and of byte counts."""
_JPEG, _DEFLATE = 7, (8, 32946)
_PLAIN = ("L", "RGB", "YCbCr")
_END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
_MOST_SCANS = 100
_MOST_TABLE_BYTES = 1 << 13
"""All tables that there can be are a third of it. They are read for each strip: with megabytes of comments among them
that would take minutes."""
_SPARE_BYTES = 1 << 24
"""A tile may be larger than its picture; 8 bytes a pixel are the most that there are."""
_SLICE_BYTES = 1 << 12
"""So much of deflate holds 4 MB at most."""


def check_strips(image: TiffImageFile, data: bytes) -> None:
    """Raises ValueError or zlib.error for damage.

    Of a file whose strips overlap or hold far more than its pixels, only the first are checked: all could take minutes.
    """
    tags = image.tag_v2
    compression = tags.get(_COMPRESSION)
    is_jpeg = compression == _JPEG and image.mode in _PLAIN
    is_deflate = compression in _DEFLATE and tags.get(_FILL_ORDER, 1) == 1
    if not (is_jpeg or is_deflate):
        return
    offsets, counts = (tags.get(tag, ()) for tag in (_TILES if _TILES[0] in tags else _STRIPS))
    tables = bytes(tags.get(_JPEG_TABLES, b""))
    if len(tables) > _MOST_TABLE_BYTES:
        raise ValueError("more than tables")
    pixels = np.empty(0) if is_jpeg else np.asarray(image)
    rows = max(1, tags.get(_ROWS_PER_STRIP, image.height))
    size = image.width * image.height
    # Of JPEG it is pixels that are counted, in three planes at most.
    bytes_left, room = len(data), size * (3 if is_jpeg else 8) + _SPARE_BYTES
    for index, (offset, count) in enumerate(zip(offsets, counts, strict=False)):
        bytes_left -= count
        if bytes_left < 0 or room <= 0:
            return
        strip = data[offset : offset + count]
        if is_jpeg:
            room -= _check_jpeg(strip, tables, min(room, size + _SPARE_BYTES))
        elif not _has_sum_of(pixels[index * rows : (index + 1) * rows], strip):
            room -= _check_deflate(strip, room)


def _has_sum_of(pixels: NDArray[Any], strip: bytes) -> bool:
    """Whether these are the bytes that the strip is the compressed form of: so most need not be inflated again.

    They are not where a predictor, tiles, planes or the order of bytes make them others.
    """
    return zlib.adler32(np.ascontiguousarray(pixels).data) == int.from_bytes(strip[-4:], "big")


def _check_deflate(strip: bytes, most: int) -> int:
    """Bytes that it holds, about `most` at most; never are all of them held at a time."""
    inflating = zlib.decompressobj()
    size = 0
    for start in range(0, len(strip), _SLICE_BYTES):
        size += len(inflating.decompress(strip[start : start + _SLICE_BYTES]))
        if inflating.eof or size >= most:
            return size
    raise ValueError("cut short")


def _check_jpeg(strip: bytes, tables: bytes, most: int) -> int:
    """Pixels that it holds. More than `most`, or scans without end, are left to libtiff, which refuses them."""
    whole = tables.rsplit(_END_OF_IMAGE, 1)[0] + strip[2:] if tables else strip
    height, width, *_ = simplejpeg.decode_jpeg_header(whole)
    if height * width <= most and whole.count(_START_OF_SCAN) <= _MOST_SCANS:
        # An eighth of the sides: all is read, hardly anything computed.
        simplejpeg.decode_jpeg(whole, "GRAY", min_height=1, min_width=1)
    return int(height * width)
