"""Writes annotated pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from flawline.cli.fault import Fault
from flawline.core.annotate import annotate
from flawline.core.values import Detection, Verdict
from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.errors import PictureError


def write_annotated(
    target: Path,
    picture: bytes,
    limits: DecodeLimits,
    *,
    detections: Sequence[Detection],
    verdict: Verdict,
    labels: Sequence[str],
) -> None:
    """A PNG of the picture with verdict, boxes, classes and scores. Raises Fault."""
    try:
        pixels = annotate(decode_grey(picture, limits), detections, verdict, labels)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, format="PNG", compress_level=3)
    except PictureError as error:  # it was good when it was inspected
        raise Fault(f"The picture for {target} was changed meanwhile: {error}") from error
    except OSError as error:
        raise Fault(
            f"Cannot write {target}: {error.strerror or error}. Choose a folder you may write to."
        ) from error
