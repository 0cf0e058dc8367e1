"""What can be said of a picture before it is decoded."""

from __future__ import annotations

import hashlib

from flawline.core.errors import BadPicture
from flawline.core.values import FrameInfo
from flawspec.decoding import DecodeLimits, probe
from flawspec.errors import PictureError


def frame_info(picture: bytes, limits: DecodeLimits) -> FrameInfo:
    """Its size, from the header alone, and its hash. Raises BadPicture."""
    try:
        header = probe(picture, limits)
    except PictureError as error:
        raise BadPicture(error.code, str(error)) from error
    digest = hashlib.sha256(picture).hexdigest()
    return FrameInfo(header.width_px, header.height_px, digest)
