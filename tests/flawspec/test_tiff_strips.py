from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.errors import CorruptPicture
from flawspec.tiff_strips import check_strips

LIMITS = DecodeLimits()
DEFLATE = "tiff_adobe_deflate"
GREY = np.random.default_rng(5).integers(0, 256, (150, 90), np.uint8)


def tiff(mode: str, compression: str, **options: Any) -> bytes:
    """In several strips."""
    stream = io.BytesIO()
    image = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else None
    image = image or Image.fromarray(GREY).convert(mode)
    image.save(stream, "TIFF", compression=compression, strip_size=4096, **options)
    return stream.getvalue()


def tiled_tiff() -> bytes:
    """64x64 pixels in tiles of 32x32, deflated and larger than the picture at its right end."""
    tiles = [zlib.compress(bytes([40 * index]) * 32 * 32) for index in range(4)]
    starts = np.cumsum([8] + [len(tile) for tile in tiles])
    body = b"".join(tiles)
    lists = struct.pack("<8I", *starts[:4], *map(len, tiles))
    at = 8 + len(body)
    entries = [(256, 1, 60), (257, 1, 64), (258, 1, 8), (259, 1, 8), (262, 1, 1), (277, 1, 1)]
    entries += [(322, 1, 32), (323, 1, 32), (324, 4, at), (325, 4, at + 16)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, *rest) for tag, *rest in entries)
    return struct.pack("<4sI", b"II*\0", at + 32) + body + lists + directory + bytes(4)


def strips(data: bytes) -> list[tuple[int, int]]:
    tags = TiffImageFile(io.BytesIO(data)).tag_v2
    return list(zip(tags[273], tags[279], strict=True))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_whole_jpeg_strips_are_read(mode: str) -> None:
    data = tiff(mode, "jpeg")
    assert len(strips(data)) > 2
    assert decode_grey(data, LIMITS).shape == GREY.shape


@pytest.mark.parametrize("compression", [DEFLATE, "tiff_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("more", [{}, {317: 2}], ids=["plain", "predictor"])
def test_whole_deflated_strips_are_read(mode: str, compression: str, more: dict[int, int]) -> None:
    data = tiff(mode, compression, tiffinfo=more)
    assert len(strips(data)) > 2
    np.testing.assert_array_equal(decode_grey(data, LIMITS), GREY)


def test_whole_tiles_are_read() -> None:
    grey = decode_grey(tiled_tiff(), LIMITS)
    assert (grey[0, 0], grey[0, 59], grey[63, 0], grey[63, 59]) == (0, 40, 80, 120)


def test_a_damaged_tile_is_refused() -> None:
    data = bytearray(tiled_tiff())
    data[8 + len(zlib.compress(bytes(1024))) - 1] ^= 1  # in the checksum of the first
    with pytest.raises(CorruptPicture, match="its pixels are not"):
        decode_grey(bytes(data), LIMITS)


@pytest.mark.parametrize("compression", [DEFLATE, "jpeg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("strip", [0, -1])
def test_a_strip_that_broke_off_is_refused(mode: str, compression: str, strip: int) -> None:
    data = bytearray(tiff(mode, compression))
    start, count = strips(data)[strip]
    data[start + count // 2 : start + count] = bytes(count - count // 2)
    with pytest.raises(CorruptPicture, match="its pixels are not"):
        decode_grey(bytes(data), LIMITS)


def test_a_strip_that_inflates_to_other_pixels_is_refused() -> None:
    data = bytearray(tiff("L", DEFLATE))
    start, count = strips(data)[1]
    other = zlib.compress(bytes(GREY.size))[:-4] + bytes(4)
    assert len(other) < count
    data[start : start + len(other)] = other
    with pytest.raises(CorruptPicture, match="its pixels are not"):
        decode_grey(bytes(data), LIMITS)


def test_what_would_take_minutes_to_check_is_not() -> None:
    data = tiff("L", DEFLATE)
    image = TiffImageFile(io.BytesIO(data))
    start, count = strips(data)[0]
    broken = data[:start] + bytes(count) + data[start + count :]
    image.tag_v2[273], image.tag_v2[279] = (0,) * 60_000, (len(data) + 1,) * 60_000
    check_strips(image, broken)


def test_a_strip_that_holds_far_more_than_its_picture_takes_little_memory() -> None:
    image = TiffImageFile(io.BytesIO(tiff("L", DEFLATE)))
    image.load()
    data = zlib.compress(bytes(40_000_000))
    image.tag_v2[273], image.tag_v2[279] = (0,), (len(data),)
    tracemalloc.start()
    try:
        check_strips(image, data)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_jpeg_that_is_larger_than_its_picture_is_not_decoded() -> None:
    """Its coefficients alone would be gigabytes; libtiff refuses it, or does not need it."""
    stream = io.BytesIO()
    Image.new("L", (1500, 1500)).save(stream, "TIFF", compression="jpeg")
    image = TiffImageFile(io.BytesIO(stream.getvalue()))
    large = simplejpeg.encode_jpeg(np.zeros((4600, 4600, 1), np.uint8), colorspace="GRAY")
    broken = large[: len(large) // 2]
    image.tag_v2[273], image.tag_v2[279] = (0,), (len(broken),)
    image.tag_v2[347] = b""
    check_strips(image, broken)


def test_jpegs_beyond_those_of_the_picture_are_not_decoded() -> None:
    whole = simplejpeg.encode_jpeg(np.zeros((4200, 4200, 1), np.uint8), colorspace="GRAY")
    data = tiff("L", "jpeg")
    image = TiffImageFile(io.BytesIO(data))
    image._size = (4200, 4200)
    broken = whole[: len(whole) // 2]
    image.tag_v2[273] = (0, len(whole), 2 * len(whole), 3 * len(whole))
    image.tag_v2[279] = (len(whole),) * 3 + (len(broken),)
    image.tag_v2[347] = b""
    check_strips(image, whole * 3 + broken)


def test_jpeg_tables_may_lack_their_end() -> None:
    data = tiff("L", "jpeg")
    image = TiffImageFile(io.BytesIO(data))
    image.tag_v2[347] = image.tag_v2[347].removesuffix(b"\xff\xd9")
    check_strips(image, data)


def test_jpeg_tables_with_megabytes_of_comments_are_refused() -> None:
    data = tiff("L", "jpeg")
    image = TiffImageFile(io.BytesIO(data))
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    image.tag_v2[347] = image.tag_v2[347][:-2] + comment * 100 + b"\xff\xd9"
    with pytest.raises(ValueError, match="more than tables"):
        check_strips(image, data)
