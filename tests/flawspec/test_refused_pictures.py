"""Pictures that must be refused: which error, what it says, and that it costs little."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from flawspec import errors
from flawspec.decoding import DecodeLimits, decode_grey, probe

LIMITS = DecodeLimits()
GREY = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunks or (chunk(b"IDAT", b""),)
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *body, chunk(b"IEND", b"")])


def idat(rows: bytes, pieces: int = 1) -> list[bytes]:
    """Compressed to its proper end, in so many chunks."""
    data = zlib.compress(rows)
    size = -(-len(data) // pieces)
    return [chunk(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]


def png_of_rows(count: int, pieces: int = 1, pixels: NDArray[np.uint8] = GREY) -> bytes:
    """64 x 64 pixels by its header."""
    rows = b"".join(b"\0" + row.tobytes() for row in pixels[:count])
    return png(64, 64, *idat(rows, pieces))


def interlaced_png(passes: int = 7, side: int = 64) -> bytes:
    """That many of the seven passes of Adam7: where they start, and their steps, across and down."""
    rows = b"".join(
        b"\0" + row.tobytes()
        for left, top, across, down in ADAM7[:passes]
        for row in GREY[top:side:down, left:side:across]
        if row.size
    )
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return b"".join([start, *idat(rows), chunk(b"IEND", b"")])


def tiff(*entries: tuple[int, int, int, int], pixels: bytes = bytes(64 * 64)) -> bytes:
    """A little-endian TIFF of the entries (tag, type, count, value) that differ from a sound one."""
    table = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    table |= {273: (4, 1, 8 + 2 + 8 * 12 + 4), 277: (3, 1, 1), 279: (4, 1, len(pixels))}
    table |= {tag: rest for tag, *rest in entries}  # type: ignore[misc]
    rows = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(table.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(table)) + rows + bytes(4) + pixels


def jpeg(**options: Any) -> bytes:
    return encoded(Image.fromarray(GREY), "JPEG", **options)


def many_scans(count: int) -> bytes:
    data = jpeg(progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * count + data[-2:]


def bmp(compression: int = 0, bits: int | None = None) -> bytes:
    data = bytearray(encoded(Image.fromarray(GREY), "BMP"))
    struct.pack_into("<I", data, 30, compression)
    if bits is not None:
        struct.pack_into("<H", data, 28, bits)
    return bytes(data)


def few_bits() -> list[bytes]:
    """A dithered frame with flaws came out OK."""
    return [
        *(encoded(Image.fromarray(GREY > 127), kind) for kind in ("PNG", "BMP", "TIFF")),
        *(encoded(Image.fromarray(GREY).quantize(colours), "PNG") for colours in (2, 16)),
        *(png(64, 64, bits=bits) for bits in (2, 4)),
        *(tiff((258, 3, 1, bits)) for bits in (2, 4)),
    ]


FROM_THE_HEADER = [
    ("nothing", b"", errors.EmptyPicture, "empty"),
    ("a text named .jpg", b"This is not a picture.\n" * 40, errors.NotAPicture, "not a picture"),
    ("zeros", bytes(5000), errors.NotAPicture, "not a picture"),
    ("one byte", b"\xff", errors.NotAPicture, "not a picture"),
    ("html", b"<!doctype html><p>504", errors.NotAPicture, "not a picture"),
    ("gif", encoded(Image.fromarray(GREY), "GIF"), errors.UnsupportedPicture, "GIF is not"),
    ("webp", b"RIFF\x10\0\0\0WEBPVP8 ", errors.UnsupportedPicture, "WebP is not"),
    ("avif", b"\0\0\0\x20ftypavif", errors.UnsupportedPicture, "AVIF is not"),
    ("pdf", b"%PDF-1.7\n", errors.UnsupportedPicture, "PDF is not"),
    ("big tiff", b"II+\0\x08\0\0\0", errors.UnsupportedPicture, "BigTIFF is not"),
    ("jpeg mark only", b"\xff\xd8\xff", errors.CorruptPicture, "JPEG header"),
    (
        "jpeg without a frame",
        b"\xff\xd8\xff\xe0\0\x02\xff\xd9",
        errors.CorruptPicture,
        "JPEG header",
    ),
    ("png mark only", b"\x89PNG\r\n\x1a\n", errors.CorruptPicture, "PNG header"),
    (
        "png with a wrong sum",
        png(64, 64).replace(b"\x08", b"\x10", 1),
        errors.CorruptPicture,
        "PNG header",
    ),
    ("png without sides", png(0, 0), errors.CorruptPicture, "PNG header"),
    ("png of 3 bits", png(64, 64, bits=3), errors.CorruptPicture, "PNG header"),
    *(
        ("a png header elsewhere", data, errors.CorruptPicture, "PNG header")
        for data in (
            png_of_rows(64)[:8] + chunk(b"a" * 4, b"b" * 18) + png_of_rows(64)[8:],
            png_of_rows(64)[:33] + png_of_rows(64)[8:],
        )
    ),
    *(("few levels", data, errors.UnsupportedPicture, "fewer than 8 bits") for data in few_bits()),
    ("bmp mark only", b"BM", errors.CorruptPicture, "BMP header"),
    ("bmp of 2 bits", bmp(bits=2), errors.UnsupportedPicture, "kind of BMP"),
    ("bmp with a jpeg in it", bmp(4), errors.UnsupportedPicture, "kind of BMP"),
    ("bmp run-length compressed", bmp(1), errors.UnsupportedPicture, "run-length"),
    ("tiff mark only", b"II*\0", errors.CorruptPicture, "TIFF header"),
    ("tiff directory beyond the end", b"MM\0*\xff\0\0\0", errors.CorruptPicture, "TIFF header"),
    ("tiff without width", tiff((256, 4, 0, 0)), errors.CorruptPicture, "TIFF header"),
    ("tiff of 12 bits", tiff((258, 3, 1, 12)), errors.UnsupportedPicture, "fewer than 16 bits"),
    ("tiff of a thumbnail", tiff((254, 4, 1, 1)), errors.UnsupportedPicture, "reduced picture"),
    ("tiff of 7 bits", tiff((258, 3, 1, 7)), errors.UnsupportedPicture, "kind of TIFF"),
    (
        "tiff of floats",
        encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        errors.UnsupportedPicture,
        "floating-point",
    ),
    (
        "tiff of 32 bits",
        encoded(Image.fromarray(GREY.astype(np.int32)), "TIFF"),
        errors.UnsupportedPicture,
        "32 bit",
    ),
    (
        "tiff of a million strips",
        tiff((273, 4, 10**6, 122), (279, 4, 10**6, 122), (278, 4, 1, 1), pixels=bytes(4 * 10**6)),
        errors.UnsupportedPicture,
        "strips",
    ),
    ("1x1", png(1, 1), errors.PictureTooSmall, "1 x 1 pixels"),
    ("a line", png(4000, 15), errors.PictureTooSmall, "at least 16"),
    ("20000x20000", png(20_000, 20_000), errors.TooManyPixels, "20000 x 20000 .* 50000000"),
    (
        "tiff 20000x20000",
        tiff((256, 4, 1, 20_000), (257, 4, 1, 20_000)),
        errors.TooManyPixels,
        "20000 x",
    ),
    ("too many bytes", b"x" * 20_000_001, errors.TooManyBytes, "20000001 bytes.* 20000000"),
    ("a progressive jpeg of many scans", many_scans(100), errors.UnsupportedPicture, "100 scans"),
    (
        "junk instead of a jpeg",
        b"\xff\xd8\xff\xe0\0\x02" + bytes(10**6),
        errors.CorruptPicture,
        "JPEG header",
    ),
    (
        "a png of nothing but chunks",
        png(64, 64, chunk(b"prVt", b"") * 20_000),
        errors.CorruptPicture,
        "PNG header",
    ),
]


@pytest.mark.parametrize(
    ("data", "error", "says"), [pytest.param(*case[1:], id=case[0]) for case in FROM_THE_HEADER]
)
def test_refused_from_the_header(
    data: bytes,
    error: type[errors.PictureError],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_pixel(self: ImageFile.ImageFile) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", no_pixel)
    for look in (probe, decode_grey):
        with pytest.raises(error, match=says) as caught:
            look(data, LIMITS)
        assert type(caught.value) is error
        assert caught.value.code == error.code
        assert str(caught.value).endswith(".")


def test_a_large_progressive_jpeg_may_have_fewer_scans() -> None:
    header = probe(many_scans(30), LIMITS)
    limits = DecodeLimits(max_pixels=header.width_px * header.height_px)
    assert probe(many_scans(8), limits) == header
    with pytest.raises(errors.UnsupportedPicture, match="20 scans, too many for its size"):
        probe(many_scans(30), limits)


@pytest.mark.parametrize("data", [encoded(Image.fromarray(GREY), "GIF"), b"a text", b""])
def test_the_sentence_names_what_is_accepted(data: bytes) -> None:
    with pytest.raises(errors.PictureError, match="Send JPEG, PNG, BMP or TIFF"):
        probe(data, LIMITS)


def test_codes_are_distinct_and_stable() -> None:
    codes = [kind.code for kind in errors.PictureError.__subclasses__()]
    assert sorted(codes) == [
        "corrupt_picture",
        "empty_picture",
        "not_a_picture",
        "picture_too_small",
        "too_many_bytes",
        "too_many_pixels",
        "unsupported_picture",
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            png(64, 64, chunk(b"IDAT", zlib.compress(bytes(64 * 64)))), id="png too short"
        ),
        pytest.param(png_of_rows(40), id="png with whole rows too few"),
        pytest.param(png_of_rows(40, pieces=7), id="png of several chunks with rows too few"),
        pytest.param(interlaced_png(passes=6), id="interlaced png without its last pass"),
        pytest.param(png(64, 64, chunk(b"IDAT", b"not deflated")), id="png not deflated"),
        pytest.param(png(64, 64), id="png without pixels"),
        pytest.param(jpeg()[: len(jpeg()) // 2], id="half a jpeg"),
        pytest.param(jpeg(progressive=True)[:-400], id="a progressive jpeg cut short"),
        pytest.param(encoded(Image.fromarray(GREY), "BMP")[:-100], id="a bmp cut short"),
        pytest.param(tiff(pixels=bytes(64 * 63)), id="a tiff cut short"),
        pytest.param(tiff((278, 4, 1, 40)), id="a tiff without its second strip"),
        pytest.param(tiff((259, 3, 1, 5)), id="a tiff that is not lzw"),
    ],
)
def test_pixels_that_are_cut_short_or_damaged(data: bytes) -> None:
    probe(data, LIMITS)  # the header alone is sound
    with pytest.raises(errors.CorruptPicture, match="its pixels are not"):
        decode_grey(data, LIMITS)


@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(64, 64), (67, 65)])
def test_a_png_whose_last_row_is_black_is_whole(kind: str, size: tuple[int, int]) -> None:
    image = Image.new(kind, size)
    assert not decode_grey(encoded(image, "PNG"), LIMITS)[-1].any()


@pytest.mark.parametrize("side", [16, 17, 63, 64])
def test_an_interlaced_png_is_whole_with_all_passes(side: int) -> None:
    grey = decode_grey(interlaced_png(side=side), LIMITS)
    np.testing.assert_array_equal(grey, GREY[:side, :side])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_picture_cut_anywhere_is_refused_or_complete(kind: str) -> None:
    data = encoded(Image.fromarray(GREY), kind)
    whole = decode_grey(data, LIMITS)
    for length in range(0, len(data), 37):
        try:
            decoded = decode_grey(data[:length], LIMITS)
        except errors.PictureError:
            continue
        np.testing.assert_array_equal(decoded, whole)


@pytest.mark.parametrize("tag", [250, 260])  # before the true width, and behind it
def test_a_tiff_with_two_widths_never_shows_a_smaller_one_than_it_has(tag: int) -> None:
    # Releases of Pillow differ in which of two entries counts.
    data = tiff((tag, 4, 1, 5000))
    signed_width = struct.pack("<HHI", 256, 9, 1)
    data = data.replace(struct.pack("<HHI", tag, 4, 1), signed_width)
    assert data.count(signed_width) == 1
    try:
        assert probe(data, LIMITS).width_px == 64
        assert decode_grey(data, LIMITS).shape == (64, 64)
    except errors.CorruptPicture as error:
        assert "TIFF header" in str(error)  # noqa: PT017  # only one of the two releases gets here


def test_pixels_in_absurdly_many_pieces_are_refused() -> None:
    pixels = zlib.compress(np.random.default_rng(0).bytes(400 * 401), 0)
    pieces = b"".join(chunk(b"IDAT", pixels[i : i + 1]) for i in range(len(pixels)))
    with pytest.raises(errors.CorruptPicture, match="damaged or cut short"):
        decode_grey(png(400, 400, pieces), LIMITS)


def damaged_jpegs() -> list[bytes]:
    """Damage that libjpeg mends with a warning: the header is sound, the end mark is there."""
    data = encoded(Image.fromarray(np.tile(GREY, (3, 3))), "JPEG", quality=90)
    start = data.index(b"\xff\xda") + 20
    rng = np.random.default_rng(1)
    zeroed = [
        data[:at] + bytes(256) + data[at + 256 :]
        for at in rng.integers(start, len(data) - 300, 20).tolist()
    ]
    half = (start + len(data)) // 2
    ended_early = data[:half] + b"\xff\xd9"
    ended_inside = data[:half] + b"\xff\xd9" + data[half + 2 :]
    return [*zeroed, ended_early, ended_inside]


@pytest.mark.parametrize("data", damaged_jpegs())
def test_a_jpeg_is_never_mended(data: bytes) -> None:
    """A picture with invented pixels could be called OK though nobody saw that steel."""
    assert probe(data, LIMITS).width_px == 192
    with pytest.raises(errors.CorruptPicture, match="its pixels are not"):
        decode_grey(data, LIMITS)


def test_a_jpeg_of_unknown_subsampling_is_not_called_damaged() -> None:
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "JPEG"))
    data[data.index(b"\xff\xc0") + 11] = 0x42
    with pytest.raises(errors.UnsupportedPicture, match="chroma subsampling"):
        decode_grey(bytes(data), LIMITS)


def test_colour_profiles_and_texts_are_passed_over_without_inflating_them() -> None:
    bomb = zlib.compress(bytes(1 << 20), 9)
    extras = [
        chunk(b"iCCP", b"profile\0\0" + bomb),
        chunk(b"zTXt", b"text\0\0" + bomb),
        chunk(b"iTXt", b"text\0\1\0\0\0" + bomb),
    ] * 500
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in GREY))
    sound = [chunk(b"IDAT", pixels)]
    data = png(64, 64, *extras, *sound, *extras)
    tracemalloc.start()
    try:
        assert np.array_equal(decode_grey(data, LIMITS), GREY)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
    finally:
        tracemalloc.stop()
    assert np.array_equal(decode_grey(data, LIMITS), decode_grey(png(64, 64, *sound), LIMITS))


def test_a_header_that_lies_about_its_size_costs_no_memory() -> None:
    data = png(20_000, 20_000, chunk(b"IDAT", zlib.compress(bytes(1000))))
    tracemalloc.start()
    with pytest.raises(errors.TooManyPixels):
        decode_grey(data, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_limits_are_the_callers() -> None:
    data = encoded(Image.fromarray(GREY), "PNG")
    for limits, error in [
        (DecodeLimits(max_bytes=len(data) - 1), errors.TooManyBytes),
        (DecodeLimits(max_pixels=64 * 64 - 1), errors.TooManyPixels),
        (DecodeLimits(min_side_px=65), errors.PictureTooSmall),
    ]:
        with pytest.raises(error):
            probe(data, limits)
    just_right = DecodeLimits(max_bytes=len(data), max_pixels=64 * 64, min_side_px=64)
    assert probe(data, just_right).width_px == 64


@pytest.mark.parametrize(
    "limits",
    [{"max_bytes": 0}, {"max_pixels": 0}, {"max_pixels": 10**9}, {"min_side_px": 0}],
)
def test_limits_that_cannot_be_kept_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DecodeLimits(**limits)


def test_pillows_own_pixel_limit_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where Pillow would warn, and this suite makes warnings errors, ours is the only limit.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    for kind in ("JPEG", "PNG", "BMP"):
        assert decode_grey(encoded(Image.fromarray(GREY), kind), LIMITS).shape == (64, 64)


def test_no_limit_can_be_set_at_which_pillow_would_warn_of_a_tiff() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    with pytest.raises(ValueError, match="max_pixels"):
        DecodeLimits(max_pixels=Image.MAX_IMAGE_PIXELS)


def _mpo(kind: int) -> bytes:
    """A second picture of that type."""
    one, other = (Image.fromarray(pixels) for pixels in (GREY, GREY[::-1]))
    data = encoded(one, "MPO", save_all=True, append_images=[other])
    second = data.index(b"MPF\0") + 4 + 50 + 16  # where Pillow writes it
    return data[:second] + struct.pack("<I", kind) + data[second + 4 :]


@pytest.mark.parametrize("kind", [0x020001, 0x020002, 0x40020003])
def test_a_jpeg_of_several_views_is_refused(kind: int) -> None:
    with pytest.raises(errors.UnsupportedPicture, match=r"several views \(MPO\)"):
        probe(_mpo(kind), LIMITS)


@pytest.mark.parametrize("kind", [0x000000, 0x010001, 0x050000])
def test_a_preview_beside_a_jpeg_is_passed_over(kind: int) -> None:
    assert decode_grey(_mpo(kind), LIMITS).shape == (64, 64)
    assert probe(_mpo(kind).replace(b"II*\0\x08", b"II*\0\xff"), LIMITS)  # nor a damaged list


@pytest.mark.parametrize(("kind", "parts"), [("TIFF", "several pages"), ("PNG", "several frames")])
def test_a_picture_of_several_is_refused(kind: str, parts: str) -> None:
    """Only the first of them would be looked at."""
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    picture = encoded(first, kind, save_all=True, append_images=[second])
    for look in (probe, decode_grey):
        with pytest.raises(errors.UnsupportedPicture, match=parts):
            look(picture, LIMITS)


def test_what_is_hidden_behind_the_rows_of_a_png_is_not_unpacked() -> None:
    rows = (b"\0" + bytes(64)) * 64
    picture = png(64, 64, *idat(rows + bytes(64 << 20)))
    assert len(picture) < 1 << 20
    tracemalloc.start()
    try:
        assert decode_grey(picture, DecodeLimits()).shape == (64, 64)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 8 << 20
