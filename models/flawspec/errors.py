"""What can be wrong with a picture or an artifact.

FlawspecError
├── PictureError            what a caller sent; ``code`` is a stable machine word
│   ├── EmptyPicture        empty_picture
│   ├── NotAPicture         not_a_picture
│   ├── UnsupportedPicture  unsupported_picture
│   ├── CorruptPicture      corrupt_picture
│   ├── TooManyBytes        too_many_bytes
│   ├── TooManyPixels       too_many_pixels
│   └── PictureTooSmall     picture_too_small
└── ArtifactError           what an operator configured; ``code`` likewise
    ├── MissingArtifact     missing_artifact
    ├── NotAnArtifact       not_an_artifact
    ├── UnknownContract     unknown_contract
    ├── InvalidManifest     invalid_manifest; ``faults`` names all of them
    └── HashMismatch        hash_mismatch

``str(error)`` is a sentence that may be shown to whoever sent the picture or configured the
artifact: it holds nothing internal. What a library said lies in ``__cause__``.
"""

# ruff: noqa: N818  # the name says what is wrong with the picture or the file; "Error" adds nothing

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class FlawspecError(Exception):
    """Root of everything this package raises on bad input."""


class PictureError(FlawspecError):
    """The bytes a caller sent cannot be inspected."""

    code: ClassVar[str] = "bad_picture"


class EmptyPicture(PictureError):
    """There are no bytes at all."""

    code = "empty_picture"


class NotAPicture(PictureError):
    """The bytes start like no picture format."""

    code = "not_a_picture"


class UnsupportedPicture(PictureError):
    """A picture, but of a format or with pixels that are not accepted."""

    code = "unsupported_picture"


class CorruptPicture(PictureError):
    """Truncated or damaged."""

    code = "corrupt_picture"


class TooManyBytes(PictureError):
    """More bytes than the limit."""

    code = "too_many_bytes"


class TooManyPixels(PictureError):
    """The header declares more pixels than the limit."""

    code = "too_many_pixels"


class PictureTooSmall(PictureError):
    """A side is shorter than the limit."""

    code = "picture_too_small"


class ArtifactError(FlawspecError):
    """A model file cannot be used."""

    code: ClassVar[str] = "bad_artifact"


class MissingArtifact(ArtifactError):
    """There is no file, or it cannot be read."""

    code = "missing_artifact"


class NotAnArtifact(ArtifactError):
    """Not an ONNX file, or one without a manifest."""

    code = "not_an_artifact"


class UnknownContract(ArtifactError):
    """Made for another version of the contract."""

    code = "unknown_contract"


class InvalidManifest(ArtifactError):
    """The manifest breaks its rules; all the faults are named at once."""

    code = "invalid_manifest"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The artifact's manifest is invalid: " + "; ".join(self.faults) + ".")


class HashMismatch(ArtifactError):
    """The file is not the one that was released."""

    code = "hash_mismatch"
