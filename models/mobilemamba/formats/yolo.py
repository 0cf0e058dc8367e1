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
    files_of,
    name_bytes,
    pictures_in,
    plain_path,
)

SUFFIX = ".txt"
CLASSES = "classes.txt"


def read_yolo(folder: Path, images: Path) -> AnnotationSet:
    """Read a folder; a picture of `images` without a text file has no flaws.

    Where folders beside it hold text files of other pictures of `images` (labels/train, labels/val), those are left
    out. Where that leaves open whose a picture without a text file is, it is a fault.

    Raises:
        DatasetError: there are no class names, or no pictures.
    """
    names = _class_names(folder)
    pictures = pictures_in(images)
    if not pictures:
        raise DatasetError(folder, [f"there are no pictures in {images}"])
    digest = hashlib.sha256("\n".join(names).encode())
    own, faults = _own(folder, images, pictures)
    files = _annotation_files(folder)
    by_stem = {p.stem: p for p in files}
    entries = []
    for index, picture in enumerate(own):
        path = by_stem.get(picture.stem)
        text = path.read_bytes() if path is not None else b""
        digest.update(name_bytes(picture.name) + b"\0" + text)
        file_name = path.name if path is not None else ""
        boxes = _boxes(file_name, text.decode("utf-8-sig", errors="replace"), names, faults)
        entries.append(AnnotatedPicture(picture.name, index + 1, None, boxes))
    stems = {p.stem for p in pictures}
    faults += [
        f"{path.name} belongs to no picture in {images}" for path in files if path.stem not in stems
    ]
    faults += [
        f"{path.name} and {by_stem[path.stem].name} are of one picture: put all of its boxes into one of them and "
        "remove the other"
        for path in files
        if by_stem[path.stem] != path
    ]
    faults += _of_several(own, by_stem)
    return AnnotationSet(names, tuple(entries), digest.hexdigest(), tuple(faults))


def _of_several(pictures: list[Path], by_stem: dict[str, Path]) -> list[str]:
    """A fault for each text file that nobody can say the picture of: its boxes would be laid into all of them."""
    called: dict[str, list[str]] = {}
    for picture in pictures:
        called.setdefault(picture.stem, []).append(picture.name)
    return [
        f"{by_stem[stem].name} may be of {' or '.join(names)}: give each a name and a text file of its own, or remove "
        "the copy"
        for stem, names in called.items()
        if len(names) > 1 and stem in by_stem
    ]


def _annotation_files(folder: Path) -> list[Path]:
    """The text files of a folder that speak of pictures, in order of their names."""
    return [p for p in files_of(folder, SUFFIX) if p.name.lower() != CLASSES]


def text_files_of_pictures(folder: Path, images: Path) -> list[Path]:
    """The text files of `folder` that have a picture in `images`: notes have none."""
    stems = {p.stem for p in pictures_in(images)}
    return [p for p in _annotation_files(folder) if p.stem in stems]


def _own(folder: Path, images: Path, pictures: list[Path]) -> tuple[list[Path], list[str]]:
    """The pictures that `folder` speaks of, and a fault for each of which nobody can say whether it does."""
    stems = {p.stem for p in pictures}
    beside = _beside(folder, images, stems)
    here = _stems(folder)
    # a folder with text files of pictures that are annotated here too (a copy, predictions) is no other part of the set
    elsewhere = set().union(*(stems for stems in beside.values() if not stems & here))
    elsewhere -= _alike(images)  # whose text files may be of those
    own = [p for p in pictures if p.stem in here or p.stem not in elsewhere]
    where = ", ".join(sorted(map(str, beside)))
    faults = [
        f"{picture.name} has no text file in {folder}, and text files of pictures in {images} lie in {where} too: "
        f"give it an empty {picture.stem}.txt in the folder that it belongs to"
        for picture in own
        if beside and picture.stem not in here
    ]
    faults += [
        f"text files of pictures in {images} lie in {place}, so that these would be taken for clean: give that folder"
        for place in sorted(folder.glob("*/"))
        if (_stems(place) & stems) - here
    ]
    if not own:
        faults.append(f"holds no text file of a picture in {images}; they lie in {where}")
    return own, faults


def _beside(folder: Path, images: Path, stems: set[str]) -> dict[Path, set[str]]:
    """Each folder beside `folder` with text files of the same pictures, and the stems of these."""
    folder, images = folder.resolve(), images.resolve()
    found: dict[Path, set[str]] = {}
    for other in folder.parent.glob("*/"):
        if other.resolve() != folder and (held := _stems(other) & stems):
            found[other] = held
    if folder.name == images.name:
        # labels/val is of images/val where labels/train is of images/train: other pictures, though named alike
        return {p: held for p, held in found.items() if not pictures_in(images.parent / p.name)}
    return found


def _stems(folder: Path) -> set[str]:
    """Of what its text files speak."""
    return {p.stem for p in _annotation_files(folder)}


def _alike(images: Path) -> set[str]:
    """Stems of the pictures in folders beside `images`."""
    beside = (path for path in images.resolve().parent.iterdir() if path.is_dir())
    return {p.stem for other in beside if other != images.resolve() for p in pictures_in(other)}


def _class_names(folder: Path) -> tuple[str, ...]:
    above = Path(plain_path(str(folder.absolute()))).parent  # of ".", too; of a link, where it lies
    for place in (*files_of(folder, SUFFIX), *files_of(above, SUFFIX)):
        if place.name.lower() == CLASSES:
            text = place.read_text("utf-8-sig", errors="replace").rstrip()
            names = tuple(line.strip() for line in text.splitlines())
            if "" in names:  # left out, every class below it would be taken for the one before
                fault = f"line {names.index('') + 1} of {place} is blank: a class's number is its line, counted from 0"
                raise DatasetError(folder, [f"{fault}; name the class, or close the gap"])
            return names
    fault = (
        f"there is no {CLASSES} in it or in {above}: put one there that names the classes, one a line, in the order of "
        "their numbers (that of `names` in a data.yaml)"
    )
    raise DatasetError(folder, [fault])


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
