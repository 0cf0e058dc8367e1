"""Pascal VOC: a folder with one XML file a picture, boxes as corners in pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mobilemamba.annotations import (
    PICTURE_SUFFIXES,
    AnnotatedBox,
    AnnotatedPicture,
    AnnotationSet,
    degrees_of,
    files_of,
    name_bytes,
    pictures_in,
    plain_path,
)

SUFFIX, ROOT = ".xml", "annotation"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(folder: Path, images: Path) -> AnnotationSet:
    """Read a folder; classes are in order of their names, corners are taken as they stand.

    A file that names no picture, or one without its suffix, is of the picture in `images` that is called alike.
    Two files that name one picture are a fault. Objects marked as difficult are boxes like any other.
    """
    digest = hashlib.sha256()
    pictures, faults = [], []
    named_by: dict[str, str] = {}
    alike = _by_stem(images)
    for index, path in enumerate(files_of(folder, SUFFIX)):
        text = path.read_bytes()
        digest.update(name_bytes(path.name) + b"\0" + text)
        try:
            root = fromstring(text, forbid_dtd=True)
            name = _picture_name(root, path, alike, faults)
            picture = _picture(root, path, name, index + 1, faults)
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            faults.append(f"{path.name}: {error}")
            continue
        pictures.append(picture)
        first = named_by.setdefault(plain_path(picture.file_name), path.name)
        if first != path.name:
            # with boxes in the one and none in the other it would be trained on as flawed and as clean
            faults.append(
                f"{first} and {path.name} both name the picture {picture.file_name}: put all of its boxes into one of "
                "them and remove the other, or correct <filename>"
            )
    names = sorted({box.class_name for picture in pictures for box in picture.boxes})
    return AnnotationSet(tuple(names), tuple(pictures), digest.hexdigest(), tuple(faults))


def _by_stem(images: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for picture in pictures_in(images):
        found.setdefault(picture.stem, []).append(picture.name)
    return found


def _picture_name(root: Element, path: Path, alike: dict[str, list[str]], faults: list[str]) -> str:
    named = root.findtext("filename", "").strip()
    if named.lower().endswith(PICTURE_SUFFIXES):
        return named
    found = alike.get(named or path.stem, [])
    if len(found) > 1:
        faults.append(
            f"{path.name} may be of {' or '.join(found)}: say in <filename> which, with its suffix"
        )
    return found[0] if found else named or f"{path.stem}.jpg"


def _picture(
    root: Element, path: Path, file_name: str, image_id: int, faults: list[str]
) -> AnnotatedPicture:
    boxes = []
    if root.tag != ROOT and root.find(".//object") is None:  # a picture without flaws, if it is one
        faults.append(f"{path.name} is no Pascal VOC: it holds <{root.tag}>, not <{ROOT}>")
    for place, entry in enumerate(root.iter("object")):
        where = f"{path.name}, object {place + 1}"
        name, frame = entry.findtext("name", "").strip(), entry.find("bndbox")
        if not name or frame is None:
            faults.append(f"{where} lacks name or bndbox")
            continue
        try:
            x0, y0, x1, y1 = (float(frame.findtext(corner, "")) for corner in CORNERS)
        except ValueError:
            faults.append(f"{where}: bndbox must hold the numbers {', '.join(CORNERS)}")
            continue
        xywh = (x0, y0, x1 - x0, y1 - y0)
        boxes.append(AnnotatedBox(where, name, xywh, degrees=_turned_by(entry)))
    return AnnotatedPicture(file_name, image_id, _size_px(root, path, faults), tuple(boxes))


def _turned_by(entry: Element) -> float:
    """Degrees, as CVAT writes them beside a box that was turned."""
    for attribute in entry.iterfind("attributes/attribute"):
        if attribute.findtext("name", "").strip() == "rotation":
            return degrees_of(attribute.findtext("value", ""))
    return 0.0


def _size_px(root: Element, path: Path, faults: list[str]) -> tuple[int, int] | None:
    size = root.find("size")
    if size is None:
        return None
    try:
        return int(size.findtext("width", "")), int(size.findtext("height", ""))
    except ValueError:
        faults.append(
            f"{path.name}: size must hold the whole numbers width and height, or be left out"
        )
        return None
