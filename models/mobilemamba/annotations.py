"""What every annotation format says: pictures, and boxes with class names."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

MOST_FAULTS_SHOWN = 20
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def name_bytes(name: str) -> bytes:
    """A file's name for a digest; one that is not UTF-8 on the disk is taken as it lies there."""
    return name.encode(errors="surrogateescape")


def plain_path(file_name: str) -> str:
    """One spelling for all of a file's: "./a.png" and "b/../a.png" are a.png."""
    return os.path.normpath(file_name)


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix (".txt") in capitals or not, in order of their names."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() == suffix and not p.is_dir())


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are called as pictures are, in order of their names."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURE_SUFFIXES)


def printable(name: str) -> str:
    """A file's name for a terminal, whose encoding may not have what is not UTF-8."""
    return name_bytes(name).decode(errors="replace")


def upright(
    xywh: tuple[float, float, float, float], degrees: float
) -> tuple[float, float, float, float]:
    """The upright box around one that is turned about its centre: CVAT writes those as they were before, and the angle.

    xywh: x_min, y_min, width, height.
    """
    x, y, width, height = xywh
    has_area = width > 0 and height > 0  # what has none is a fault however it is turned
    if degrees == 0 or not has_area:
        return xywh
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


_LEAST_DEGREES = 1e-3


def degrees_of(value: object) -> float:
    """An angle that is given as a number or as a text of one; 0 for all else: not finite, or half turns."""
    if type(value) not in (int, float, str):
        return 0.0
    try:
        angle = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):  # whole numbers of JSON may have any length
        return 0.0
    if not math.isfinite(angle) or abs(math.remainder(angle, 180.0)) < _LEAST_DEGREES:
        return 0.0
    return angle


class DatasetError(Exception):
    """A data set that cannot be used; `faults` holds one sentence each."""

    def __init__(self, source: Path, faults: list[str]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(f"  - {fault}" for fault in faults[:MOST_FAULTS_SHOWN])
        more = len(faults) - MOST_FAULTS_SHOWN
        tail = f"\n  ... and {more} more" if more > 0 else ""
        super().__init__(f"{source} has {len(faults)} fault(s):\n{shown}{tail}")


@dataclass(frozen=True)
class AnnotatedBox:
    """One box as the file gives it, not yet checked against its picture.

    Attributes:
        where: the place in the file, for error messages.
        class_name: of the flaw.
        xywh: x_min, y_min, width, height; pixels, or shares of the picture's sides if `relative`.
        relative: see `xywh`.
        degrees: by which the tool turned it about its centre: `xywh` is from before.
    """

    where: str
    class_name: str
    xywh: tuple[float, float, float, float]
    relative: bool = False
    degrees: float = 0.0


@dataclass(frozen=True)
class AnnotatedPicture:
    """One picture as the file names it; `size_px` is (width, height) if the file states it."""

    file_name: str
    image_id: int
    size_px: tuple[int, int] | None
    boxes: tuple[AnnotatedBox, ...]


@dataclass(frozen=True)
class AnnotationSet:
    """A whole file or folder of annotations.

    Attributes:
        class_names: in the order of the file's ids, or by name where it has none.
        pictures: in the file's order.
        sha256: of the file, or of all files of the folder in order of their names.
        faults: what is wrong with single entries; those entries are left out.
    """

    class_names: tuple[str, ...]
    pictures: tuple[AnnotatedPicture, ...]
    sha256: str
    faults: tuple[str, ...]
