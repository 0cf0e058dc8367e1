"""YOLO: a folder of text files, a line ``class x_centre y_centre width height`` a box, as shares of the sides.

Class names stand in ``classes.txt``, one a line, in the folder or the one above it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mobilemamba.annotations import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotationSet,
    DatasetError,
)

CLASSES = "classes.txt"
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def read_yolo(folder: Path, images: Path) -> AnnotationSet:
    """Read a folder; every picture of `images` counts, one without a text file has no flaws.

    Raises:
        DatasetError: there are no class names, or no pictures.
    """
    names = _class_names(folder)
    pictures = sorted(p for p in images.glob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not pictures:
        raise DatasetError(folder, [f"there are no pictures in {images}"])
    digest = hashlib.sha256("\n".join(names).encode())
    faults: list[str] = []
    entries = []
    for index, picture in enumerate(pictures):
        path = folder / f"{picture.stem}.txt"
        text = path.read_bytes() if path.exists() else b""
        digest.update(picture.name.encode() + b"\0" + text)
        boxes = _boxes(path.name, text.decode(errors="replace"), names, faults)
        entries.append(AnnotatedPicture(picture.name, index + 1, None, boxes))
    stems = {p.stem for p in pictures}
    faults += [
        f"{path.name} belongs to no picture in {images}"
        for path in sorted(folder.glob("*.txt"))
        if path.name != CLASSES and path.stem not in stems
    ]
    return AnnotationSet(names, tuple(entries), digest.hexdigest(), tuple(faults))


def _class_names(folder: Path) -> tuple[str, ...]:
    for place in (folder / CLASSES, folder.parent / CLASSES):
        if place.exists():
            lines = place.read_text("utf-8", errors="replace").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    raise DatasetError(
        folder, [f"there is no {CLASSES}, in it or above it, that names the classes"]
    )


def _boxes(
    file_name: str, text: str, names: tuple[str, ...], faults: list[str]
) -> tuple[AnnotatedBox, ...]:
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file_name}, line {number}"
        try:
            first, *rest = line.split()
            class_id = int(first)
            x, y, width, height = map(float, rest)
        except ValueError:
            faults.append(f"{where} must be: class x_centre y_centre width height")
            continue
        if not 0 <= class_id < len(names):
            faults.append(f"{where} has the unknown class {class_id}; {CLASSES} names {len(names)}")
            continue
        xywh = (x - width / 2, y - height / 2, width, height)
        boxes.append(AnnotatedBox(where, names[class_id], xywh, relative=True))
    return tuple(boxes)
