"""The pictures that all contenders are asked about, and what is in them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from flawline.samples.generator import GENERATOR_VERSION, generate_frame
from serving.detector import MAX_BATCH, Detector

DRAWN_KINDS = {"200x200": (200, 200), "640x640": (640, 640), "2048x1000": (2048, 1000)}
A_KIND = 16
WITH_FLAWS = 12
"""At least so many of a kind's pictures must have detections: an empty answer is easy to give."""
MARGIN = 0.05
"""Pictures with a score so near to a threshold are left out: rounding may tell there, and all answers are checked."""
JPEG_QUALITY = 90
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


class TooFewPictures(Exception):  # noqa: N818 - it says what was found
    """A folder does not hold enough pictures whose answer is beyond doubt."""


@dataclass(frozen=True)
class Kind:
    """Encoded pictures of one kind, with the number of detections of each."""

    name: str
    folder: Path
    counts: tuple[int, ...]

    def encoded(self) -> list[bytes]:
        """In the order of `counts`."""
        return [path.read_bytes() for path in sorted(self.folder.glob("picture-*"))]

    @classmethod
    def read(cls, folder: Path) -> Kind:
        """What `draw` or `collect` wrote."""
        return cls(folder.name, folder, tuple(json.loads((folder / "counts.json").read_text())))


def draw(name: str, folder: Path, detector: Detector, cache: Path) -> Kind:
    """Sample frames of a size, as JPEG; cache: a folder where they stay, since drawing large ones takes long."""
    candidates = (_jpeg(name, seed, cache) for seed in count())
    return _write(name, folder, detector, candidates, limit=40 * A_KIND)


def collect(data: Path, folder: Path, detector: Detector) -> Kind:
    """Real pictures of a folder, sent as they are; a step through them that meets many kinds.

    Raises TooFewPictures.
    """
    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in _SUFFIXES)
    stride = max(1, len(files) // (8 * A_KIND))
    candidates = (path.read_bytes() for path in files[::stride])
    return _write(data.resolve().name, folder, detector, candidates, limit=len(files))


def _write(name: str, parent: Path, detector: Detector, candidates: object, limit: int) -> Kind:
    folder = parent / name
    if (folder / "counts.json").exists():
        return Kind.read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    counts: list[int] = []
    empty = 0
    for _, picture in zip(range(limit), candidates, strict=False):  # type: ignore[call-overload]
        found = _sure_count(detector, picture)
        if found is None or (found == 0 and empty >= A_KIND - WITH_FLAWS):
            continue
        empty += found == 0
        (folder / f"picture-{len(counts):02}").write_bytes(picture)
        counts.append(found)
        if len(counts) == A_KIND:
            (folder / "counts.json").write_text(json.dumps(counts))
            return Kind.read(folder)
    raise TooFewPictures(
        f"{name}: only {len(counts)} of {limit} pictures have an answer beyond doubt, {A_KIND} are needed"
    )


def _sure_count(detector: Detector, picture: bytes) -> int | None:
    """How many detections, None where rounding could change it."""
    row, letterbox = detector.place(picture)
    boxes_xyxy, scores = detector.run(row[None])
    thresholds = np.array(detector.manifest.score_thresholds, np.float32)
    low, high = thresholds * (1 - MARGIN), thresholds * (1 + MARGIN)
    if ((scores[0] > low) & (scores[0] < high)).any():
        return None
    found = len(detector.judge(boxes_xyxy[0], scores[0], letterbox).detections)
    batched = detector.run(np.repeat(row[None], MAX_BATCH, axis=0))
    again = len(detector.judge(batched[0][-1], batched[1][-1], letterbox).detections)
    return found if found == again else None


def _jpeg(name: str, seed: int, cache: Path) -> bytes:
    path = cache / "drawn" / f"{name}-{GENERATOR_VERSION}-{JPEG_QUALITY}" / f"{seed}.jpg"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        width_px, height_px = DRAWN_KINDS[name]
        stream = io.BytesIO()
        frame = generate_frame(seed, width_px=width_px, height_px=height_px)
        Image.fromarray(frame.grey).save(stream, "JPEG", quality=JPEG_QUALITY)
        path.write_bytes(stream.getvalue())
    return path.read_bytes()
