"""Pictures that must be read, and to which grey levels."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flawspec.decoding import DecodeLimits, PictureHeader, decode_grey, probe

LIMITS = DecodeLimits()
WIDTH, HEIGHT = 48, 32
EXACT = ("PNG", "BMP", "TIFF")
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth_colours() -> NDArray[np.uint8]:
    """Colours well inside what a JPEG can hold, changing slowly: compression leaves them nearly alone."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([80 + 2 * x, 100 + 2 * y, 160 - x - y], axis=-1).astype(np.uint8)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    return rgb.astype(np.float64) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("kind", EXACT)
def test_grey_is_kept_to_the_level(kind: str) -> None:
    grey = noise(HEIGHT, WIDTH)
    data = encoded(Image.fromarray(grey), kind)
    decoded = decode_grey(data, LIMITS)
    np.testing.assert_array_equal(decoded, grey)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert probe(data, LIMITS) == PictureHeader(kind, WIDTH, HEIGHT, MEDIA_TYPES[kind])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:2:0"}])
@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_gives_the_luma_of_its_colours(colour: bool, options: dict[str, Any]) -> None:
    rgb = smooth_colours()
    image = Image.fromarray(rgb) if colour else Image.fromarray(luma(rgb).astype(np.uint8))
    data = encoded(image, "JPEG", quality=98, **options)
    decoded = decode_grey(data, LIMITS)
    assert np.abs(decoded - luma(rgb)).max() <= 2
    through_rgb = luma(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert np.abs(decoded - through_rgb).max() <= 2
    assert probe(data, LIMITS) == PictureHeader("JPEG", WIDTH, HEIGHT, "image/jpeg")


@pytest.mark.parametrize("kind", EXACT)
def test_colour_becomes_luma(kind: str) -> None:
    rgb = noise(HEIGHT, WIDTH, 3)
    decoded = decode_grey(encoded(Image.fromarray(rgb), kind), LIMITS)
    assert np.abs(decoded - luma(rgb)).max() <= 0.51


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("LA", "PNG"), ("LA", "TIFF"), ("RGBA", "PNG"), ("RGBA", "BMP"), ("RGBA", "TIFF")],
)
def test_alpha_is_dropped_not_blended(mode: str, kind: str) -> None:
    colours = noise(HEIGHT, WIDTH, len(mode))
    solid = colours.copy()
    solid[..., -1] = 255
    decoded = decode_grey(encoded(Image.fromarray(colours, mode), kind), LIMITS)
    opaque = decode_grey(encoded(Image.fromarray(solid, mode), kind), LIMITS)
    np.testing.assert_array_equal(decoded, opaque)
    np.testing.assert_array_equal(decoded, np.asarray(Image.fromarray(colours, mode).convert("L")))


@pytest.mark.parametrize("kind", EXACT)
def test_a_palette_is_looked_up(kind: str) -> None:
    indices, colours = noise(HEIGHT, WIDTH) % 32, noise(32, 3, seed=1)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    decoded = decode_grey(encoded(image, kind), LIMITS)
    assert np.abs(decoded - luma(colours)[indices]).max() <= 1


@pytest.mark.parametrize("transparency", [0, b"\0\x40\x80\xc0"])
def test_a_palette_with_transparent_entries_is_looked_up(transparency: int | bytes) -> None:
    indices, colours = noise(HEIGHT, WIDTH) % 32, noise(32, 3, seed=1)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    decoded = decode_grey(encoded(image, "PNG", transparency=transparency), LIMITS)
    assert np.abs(decoded - luma(colours)[indices]).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_read(kind: str) -> None:
    image = Image.fromarray(smooth_colours()).convert("CMYK")
    decoded = decode_grey(
        encoded(image, kind, **({"quality": 98} if kind == "JPEG" else {})), LIMITS
    )
    assert np.abs(decoded - luma(smooth_colours())).max() <= 3


def sixteen_bit() -> NDArray[np.uint16]:
    """Every value once, among them both neighbours of every place where the rounding turns."""
    return np.arange(65536, dtype=np.uint16).reshape(256, 256)


def tiff_16(samples: NDArray[np.uint16], order: str, photometric: int = 1) -> bytes:
    """An uncompressed 16 bit grey TIFF, written by hand: '<' little-endian, '>' big-endian."""
    height, width = samples.shape
    at = 8 + 2 + 8 * 12 + 4
    entries = [(256, width), (257, height), (258, 16), (259, 1), (262, photometric), (273, at)]
    entries += [(277, 1), (279, samples.size * 2)]
    directory = struct.pack(order + "H", len(entries)) + b"".join(
        struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries
    )
    magic = b"II*\0" if order == "<" else b"MM\0*"
    pixels = samples.astype(f"{order}u2").tobytes()
    return magic + struct.pack(order + "I", 8) + directory + bytes(4) + pixels


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(Image.fromarray(sixteen_bit()), "PNG"), id="png"),
        pytest.param(encoded(Image.fromarray(sixteen_bit()), "TIFF"), id="tiff"),
        pytest.param(
            encoded(Image.fromarray(sixteen_bit()), "TIFF", compression="tiff_lzw"), id="tiff-lzw"
        ),
        pytest.param(tiff_16(sixteen_bit(), "<"), id="tiff-by-hand"),
        pytest.param(tiff_16(sixteen_bit(), ">"), id="tiff-big-endian"),
        pytest.param(
            encoded(
                Image.frombytes("I;16B", (256, 256), sixteen_bit().astype(">u2").tobytes()), "TIFF"
            ),
            id="tiff-big-endian-by-pillow",
        ),
    ],
)
def test_sixteen_bits_become_eight_by_257_rounded(data: bytes) -> None:
    decoded = decode_grey(data, LIMITS)
    np.testing.assert_array_equal(decoded, np.rint(sixteen_bit() / 257))
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous


def test_a_16_bit_tiff_with_white_as_zero_is_turned_over() -> None:
    decoded = decode_grey(tiff_16(sixteen_bit(), "<", photometric=0), LIMITS)
    np.testing.assert_array_equal(decoded, np.rint((65535 - sixteen_bit().astype(int)) / 257))


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_a_16_bit_colour_png_is_read_to_a_grey_level(colour_type: int, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    rows = samples.astype(">u2").reshape(HEIGHT, -1)
    data = png(WIDTH, HEIGHT, 16, colour_type, b"".join(b"\0" + row.tobytes() for row in rows))
    colours = samples[..., :3] if channels > 2 else samples[..., [0, 0, 0]]
    assert np.abs(decode_grey(data, LIMITS) - luma(colours / 257)).max() <= 1.51


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


ARROW = np.zeros((HEIGHT, WIDTH), np.uint8)
ARROW[:8, :16] = 255  # a bright top left corner, wider than high: no two orientations look the same
STORED = {  # how a camera stores the arrow under each orientation (EXIF 2.3, tag 0x0112)
    1: ARROW,
    2: ARROW[:, ::-1],
    3: ARROW[::-1, ::-1],
    4: ARROW[::-1],
    5: ARROW.T,
    6: np.rot90(ARROW),
    7: ARROW[::-1, ::-1].T,
    8: np.rot90(ARROW, -1),
}


@pytest.mark.parametrize(
    ("kind", "bits"), [("JPEG", 8), ("PNG", 8), ("PNG", 16), ("TIFF", 8), ("TIFF", 16)]
)
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(kind: str, orientation: int, bits: int) -> None:
    stored = np.ascontiguousarray(STORED[orientation])
    image = Image.fromarray(stored if bits == 8 else stored.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif)
    header = probe(data, LIMITS)
    assert (header.width_px, header.height_px) == (WIDTH, HEIGHT)
    decoded = decode_grey(data, LIMITS)
    assert decoded.shape == (HEIGHT, WIDTH)
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - ARROW).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no tiff at all", id="no tiff"),
        pytest.param(b"II*\0\xff\xff\xff\xff", id="beyond the end"),
        pytest.param(b"MM\0*\0\0\0\x08\0\x09\x01\x12", id="cut short"),
        pytest.param(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0", id="99"),
        pytest.param(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01\0\x06\0\0\0\0\0\0", id="text"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_does_not_cost_a_sound_picture(kind: str, exif: bytes) -> None:
    data = encoded(Image.fromarray(ARROW), kind, exif=b"Exif\0\0" + exif)
    if kind == "JPEG":  # without the JFIF block, as cameras write it
        start, length = data.index(b"\xff\xe0"), struct.unpack_from(">H", data, 4)[0]
        data = data[:start] + data[start + 2 + length :]
    assert decode_grey(data, LIMITS).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_are_read(compression: str) -> None:
    grey = noise(HEIGHT, WIDTH)
    data = encoded(Image.fromarray(grey), "TIFF", compression=compression)
    np.testing.assert_array_equal(decode_grey(data, LIMITS), grey)


def test_what_stands_behind_a_picture_does_not_matter() -> None:
    grey = noise(HEIGHT, WIDTH)
    for kind in EXACT:
        data = encoded(Image.fromarray(grey), kind) + b"trailing bytes"
        np.testing.assert_array_equal(decode_grey(data, LIMITS), grey)


def test_a_picture_decodes_the_same_beside_others_and_leaves_pillow_as_it_was() -> None:
    before = (Image.MAX_IMAGE_PIXELS, dict(Image.OPEN))
    data = encoded(Image.fromarray(noise(HEIGHT, WIDTH)), "PNG")
    np.testing.assert_array_equal(decode_grey(data, LIMITS), decode_grey(data, LIMITS))
    assert (Image.MAX_IMAGE_PIXELS, dict(Image.OPEN)) == before
