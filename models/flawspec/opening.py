"""All about a picture that can be told, or refused, from its header: no pixel is decoded here.

Pillow's format classes are called directly. ``Image.open`` would bring in every format Pillow knows
and warn, by its own global limit, of sizes that are this package's business.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from flawspec.errors import (
    CorruptPicture,
    EmptyPicture,
    NotAPicture,
    PictureTooSmall,
    TooManyBytes,
    TooManyPixels,
    UnsupportedPicture,
)
from flawspec.limits import DecodeLimits
from flawspec.multi_picture import has_further_view
from flawspec.png_chunks import without_compressed_extras
from flawspec.tiff_header import (
    BITS_PER_SAMPLE,
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    SUBFILE_TYPE,
    WHITE_IS_ZERO,
    WIDTH,
    TiffHeader,
    read_tiff_header,
)

_HEADER_READS = 20_000
_PIXEL_READS = 200_000
"""Reads that Pillow may ask for: a real picture needs a few hundred, a TIFF two a strip."""
_MAX_TIFF_LIST = 65_535
"""Strips or tiles: one a row of a very tall picture."""
_MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten, of CMYK 18. A few bytes can make one that walks over all the pixels."""
_SCANS_OF_LARGEST = 20
"""Scans of the largest picture accepted: no other one may walk over more pixels than these."""
_SEND = "Send JPEG, PNG, BMP or TIFF, grey or colour, with 8 or 16 bits a sample."

_GREY_16 = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_MODES = _GREY_16 | {"L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
_FEW_BITS = re.compile("'[LP];[124]")
"""In what Pillow says of how samples are stored."""
_LYING = frozenset({5, 6, 7, 8})
"""The EXIF orientations that swap width and height."""
_MODE_WORDS = {"F": "floating-point", "I": "signed or 32 bit", "LAB": "CIE Lab"}


class _JpegFile(JpegImageFile):
    """Without Pillow's search for a print size, which warns of damaged EXIF in a sound picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _BoundedReader(io.BytesIO):
    """The bytes of a picture, refusing to be read in absurdly many pieces.

    Pillow walks chunks, markers and stray bytes in Python; without this a file made of nothing else
    would hold a processor for many seconds.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads_left = _HEADER_READS

    def begin_pixels(self) -> None:
        self._reads_left = _PIXEL_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise OSError("cut into too many pieces")
        return super().read(size)


@dataclass(frozen=True)
class _Format:
    name: str
    media_type: str
    starts: tuple[bytes, ...]
    opener: Callable[[io.BytesIO], ImageFile.ImageFile]


_FORMATS = (
    _Format("JPEG", "image/jpeg", (b"\xff\xd8\xff",), _JpegFile),
    _Format("PNG", "image/png", (b"\x89PNG\r\n\x1a\n",), PngImageFile),
    _Format("BMP", "image/bmp", (b"BM",), BmpImageFile),
    _Format("TIFF", "image/tiff", (b"II*\0", b"MM\0*"), TiffImageFile),
)
_FOREIGN = (
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"%PDF-", "PDF"),
)


@dataclass(frozen=True)
class OpenPicture:
    """A picture whose header passed every check, with its pixels still undecoded."""

    format: str
    media_type: str
    image: ImageFile.ImageFile
    width_px: int
    """Upright, as height_px."""
    height_px: int
    orientation: int
    """The EXIF orientation that is still to be undone; 1 for a TIFF, which Pillow turns itself."""
    has_16_bit_grey: bool
    white_is_zero: bool


def open_picture(data: bytes, limits: DecodeLimits) -> OpenPicture:
    """Reads and checks the header. Raises PictureError."""
    if not data:
        raise EmptyPicture(f"The picture is empty: it has no bytes. {_SEND}")
    if len(data) > limits.max_bytes:
        raise TooManyBytes(
            f"The picture has {len(data)} bytes, more than the {limits.max_bytes} accepted."
        )
    kind = _format_of(data)
    tiff = _tiff_header(data) if kind.name == "TIFF" else None
    stream = _BoundedReader(_without_extras(data) if kind.name == "PNG" else data)
    image = _opened(kind, stream)
    orientation = tiff.firsts.get(ORIENTATION, 1) if tiff else _exif_orientation(image)
    stored = _stored_tiff_size(tiff, image) if tiff else image.size
    width, height = stored[::-1] if orientation in _LYING else stored
    _check_size(width, height, limits)
    _check_pixels(kind, image, tiff)
    if image.info.get("progressive"):
        _check_scans(data.count(b"\xff\xda"), width * height, limits)
    stream.begin_pixels()
    return OpenPicture(
        format=kind.name,
        media_type=kind.media_type,
        image=image,
        width_px=width,
        height_px=height,
        orientation=1 if tiff else orientation,
        has_16_bit_grey=image.mode in _GREY_16,
        white_is_zero=tiff is not None and tiff.firsts.get(PHOTOMETRIC) == WHITE_IS_ZERO,
    )


def _format_of(data: bytes) -> _Format:
    for kind in _FORMATS:
        if data.startswith(kind.starts):
            return kind
    for offset, mark, name in _FOREIGN:
        if data.startswith(mark, offset):
            raise UnsupportedPicture(f"{name} is not accepted. {_SEND}")
    raise NotAPicture(f"The bytes are not a picture of any accepted format. {_SEND}")


def _tiff_header(data: bytes) -> TiffHeader:
    try:
        header = read_tiff_header(data)
    except ValueError as error:
        raise _damaged("TIFF") from error
    if header.longest_list > _MAX_TIFF_LIST:
        raise UnsupportedPicture(
            f"This TIFF has more than {_MAX_TIFF_LIST} strips or tiles; store it in larger ones."
        )
    if header.has_next:
        # Pillow shows the first: a flaw on another one would pass unseen.
        raise UnsupportedPicture(
            "This TIFF has several pages, and one picture is inspected; send each page by itself."
        )
    if header.firsts.get(SUBFILE_TYPE, 0) & 1:
        raise UnsupportedPicture(
            "This TIFF shows a reduced picture, as a camera's raw file does; send the whole one as a TIFF."
        )
    return header


def _without_extras(data: bytes) -> bytes:
    try:
        return without_compressed_extras(data)
    except ValueError as error:
        raise _damaged("PNG") from error


def _opened(kind: _Format, stream: _BoundedReader) -> ImageFile.ImageFile:
    try:
        return kind.opener(stream)
    except Exception as error:  # Pillow's parsers raise nearly anything on garbage
        if re.search(
            "unsupported|unknown|cannot handle|not yet supported", str(error), re.IGNORECASE
        ):
            raise UnsupportedPicture(f"This kind of {kind.name} cannot be read. {_SEND}") from error
        raise _damaged(kind.name) from error


def _stored_tiff_size(header: TiffHeader, image: ImageFile.ImageFile) -> tuple[int, int]:
    # Releases of Pillow differ in whether an open TIFF tells its size as stored or upright. It must
    # be the same two sides: a doubled entry could show a small picture here and a huge one there.
    size = header.firsts.get(WIDTH, 0), header.firsts.get(HEIGHT, 0)
    if set(size) != set(image.size):
        raise _damaged("TIFF")
    return size


def _exif_orientation(image: ImageFile.ImageFile) -> int:
    exif = image.info.get("exif", b"")
    try:
        return read_tiff_header(exif, len(b"Exif\0\0")).firsts.get(ORIENTATION, 1)
    except ValueError:
        return 1  # none, or damaged: the picture itself may still be sound


def _check_size(width_px: int, height_px: int, limits: DecodeLimits) -> None:
    if width_px * height_px > limits.max_pixels:
        raise TooManyPixels(
            f"The picture is {width_px} x {height_px} pixels, {width_px * height_px} in all, more "
            f"than the {limits.max_pixels} accepted."
        )
    if min(width_px, height_px) < limits.min_side_px:
        raise PictureTooSmall(
            f"The picture is {width_px} x {height_px} pixels; each side must have at least "
            f"{limits.min_side_px}."
        )


def _check_pixels(kind: _Format, image: ImageFile.ImageFile, tiff: TiffHeader | None) -> None:
    if image.mode == "1" or any(_FEW_BITS.search(repr(tile[3])) for tile in image.tile[:1]):
        # Of so few levels a flawed frame can look like a clean one.
        raise UnsupportedPicture(f"This {kind.name} stores a pixel in fewer than 8 bits. {_SEND}")
    if image.mode not in _MODES:
        words = _MODE_WORDS.get(image.mode, "unusual")
        raise UnsupportedPicture(f"This {kind.name} has {words} pixels. {_SEND}")
    if tiff and image.mode in _GREY_16 and tiff.firsts.get(BITS_PER_SAMPLE) != 16:
        raise UnsupportedPicture(f"This TIFF packs its samples in fewer than 16 bits. {_SEND}")
    if isinstance(image, PngImageFile) and image.is_animated:
        raise UnsupportedPicture(
            "This PNG has several frames, and one picture is inspected; send each frame by itself."
        )
    if kind.name == "JPEG" and has_further_view(image.info.get("mp", b"")):
        raise UnsupportedPicture(
            "This JPEG has several views (MPO), and one picture is inspected; send each view by itself."
        )
    if isinstance(image, BmpImageFile) and image.tile[0][0] == "bmp_rle":
        # Decoded in Python by Pillow, far too slow for a line.
        raise UnsupportedPicture("This BMP is run-length compressed; store it uncompressed.")


def _check_scans(scans: int, pixels: int, limits: DecodeLimits) -> None:
    most = min(_MAX_JPEG_SCANS, _SCANS_OF_LARGEST * limits.max_pixels // pixels)
    if scans > most:
        raise UnsupportedPicture(
            f"This progressive JPEG has more than {most} scans, too many for its size; store it as baseline."
        )


def _damaged(name: str) -> CorruptPicture:
    return CorruptPicture(f"The {name} header is damaged or cut short. Send the whole file again.")
