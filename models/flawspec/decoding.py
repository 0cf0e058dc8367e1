"""From the bytes of a picture to grey levels, at a cost that the limits bound.

Everything that can be refused is refused from the header, before a pixel is decoded. JPEG, PNG, BMP
and TIFF; one page or frame; the orientation in EXIF is applied; alpha is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from flawspec.errors import CorruptPicture, PictureError, UnsupportedPicture
from flawspec.limits import DecodeLimits
from flawspec.opening import OpenPicture, open_picture
from flawspec.png_rows import has_all_rows
from flawspec.tiff_strips import check_strips

__all__ = ["DecodeLimits", "PictureHeader", "decode_grey", "probe"]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings each EXIF orientation upright; 1 and unknown ones stay as they are."""


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself; width and height are those after the EXIF orientation."""

    format: str
    """JPEG, PNG, BMP or TIFF."""
    width_px: int
    height_px: int
    media_type: str


def probe(data: bytes, limits: DecodeLimits) -> PictureHeader:
    """Checks a picture by its header alone; no pixel is decoded. Raises PictureError."""
    picture = open_picture(data, limits)
    return PictureHeader(picture.format, picture.width_px, picture.height_px, picture.media_type)


def decode_grey(data: bytes, limits: DecodeLimits) -> NDArray[np.uint8]:
    """The picture's grey levels, upright: uint8 [H, W], C-contiguous, to be read and not written.

    Colour becomes luma (0.299 R + 0.587 G + 0.114 B; in a JPEG the Y it stores), 16 bit grey is
    divided by 257 and rounded, 16 bit colour keeps its high bytes. Raises PictureError.
    """
    picture = open_picture(data, limits)
    image = _strict_jpeg(data) if _is_plain_jpeg(picture) else _loaded(picture, data)
    if picture.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[picture.orientation])
    if picture.has_16_bit_grey:
        return _eight_bit(np.asarray(image), inverted=picture.white_is_zero)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _is_plain_jpeg(picture: OpenPicture) -> bool:
    return picture.format == "JPEG" and picture.image.mode in ("L", "RGB")


def _strict_jpeg(data: bytes) -> Image.Image:
    """The luma of a grey or colour JPEG, none of it guessed.

    libjpeg mends damage on its own account and only warns: a picture that broke off would come out with
    grey rows, and could be called OK. Pillow hides those warnings; simplejpeg makes them errors.
    """
    try:
        luma = simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        raise _refused_pixels("JPEG", error) from error
    return Image.fromarray(luma[:, :, 0])


def _refused_pixels(name: str, error: Exception) -> PictureError:
    if "subsampling" in str(error):
        return UnsupportedPicture(
            f"This {name} has unusual chroma subsampling; store it as grey, 4:4:4, 4:2:2 or 4:2:0."
        )
    return _damaged_pixels(name)


def _damaged_pixels(name: str) -> CorruptPicture:
    return CorruptPicture(
        f"The {name} is damaged or cut short: its header is sound, its pixels are not. "
        "Send the whole file again."
    )


def _loaded(picture: OpenPicture, data: bytes) -> Image.Image:
    image: ImageFile.ImageFile = picture.image
    # libjpeg then hands out the luma as stored: no colour is computed only to be thrown away. Other
    # formats ignore it.
    image.draft("L", None)
    # Alpha is dropped; this part of it would make Pillow warn when a palette is resolved.
    image.info.pop("transparency", None)
    lacks_strips = _pixels_told_of(image) < image.width * image.height
    try:
        image.load()
        if isinstance(image, TiffImageFile):
            check_strips(image, data)
    except Exception as error:  # Pillow's decoders raise nearly anything on garbage
        raise _refused_pixels(picture.format, error) from error
    may_lack_rows = picture.format == "PNG" and _may_lack_rows(image)
    if lacks_strips or (may_lack_rows and not has_all_rows(data)):
        raise _damaged_pixels(picture.format)
    return image


def _pixels_told_of(image: ImageFile.ImageFile) -> int:
    """In how many the header says where they lie: a TIFF may name too few strips."""
    areas = (tile[1] or (0, 0, *image.size) for tile in image.tile)
    return sum((right - left) * (bottom - top) for left, top, right, bottom in areas)


def _may_lack_rows(image: ImageFile.ImageFile) -> bool:
    """Whether the last rows are as Pillow leaves what it does not find; an interlaced picture may lack any."""
    last = image.crop((0, image.height - 1, image.width, image.height))
    return "interlace" in image.info or last.getbbox(alpha_only=False) is None


def _eight_bit(levels_16: NDArray[np.uint16], inverted: bool) -> NDArray[np.uint8]:
    levels = levels_16.astype(np.uint32)  # in this machine's byte order, and ours to write to
    if inverted:
        np.subtract(65535, levels, out=levels)
    # round(v / 257) in whole numbers: exact for every v, as the tests check.
    levels *= 255
    levels += 32895
    levels >>= 16
    grey: NDArray[np.uint8] = levels.astype(np.uint8)
    grey.setflags(write=False)
    return grey
