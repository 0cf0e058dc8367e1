"""COCO JSON: lists `images`, `annotations` (bbox [x, y, width, height] in pixels), `categories`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from mobilemamba.annotations import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotationSet,
    DatasetError,
    degrees_of,
    plain_path,
)

SUFFIX = ".json"
FIELDS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_coco(path: Path) -> AnnotationSet:
    """Read a file; a region marked `iscrowd` is a fault, a box that CVAT turned is not yet upright.

    Raises:
        DatasetError: it cannot be read, is not JSON, or lacks what COCO files have.
    """
    text, content = _load(path)
    faults = _structure_faults(content)
    if faults:
        raise DatasetError(path, faults)
    names = {c["id"]: c["name"] for c in sorted(content["categories"], key=lambda c: c["id"])}
    boxes: dict[Any, list[AnnotatedBox]] = {image["id"]: [] for image in content["images"]}
    faults = _doubled(content["annotations"], "annotation", "id")
    for entry in content["annotations"]:
        fault = _fault(entry, names, boxes)
        if fault is not None:
            faults.append(fault)
        else:
            where = f"annotation {entry['id']}"
            name, xywh = names[entry["category_id"]], tuple(entry["bbox"])
            box = AnnotatedBox(where, name, xywh, degrees=_turned_by(entry))
            boxes[entry["image_id"]].append(box)
    pictures = tuple(
        AnnotatedPicture(i["file_name"], i["id"], (i["width"], i["height"]), tuple(boxes[i["id"]]))
        for i in content["images"]
    )
    digest = hashlib.sha256(text).hexdigest()
    return AnnotationSet(tuple(names.values()), pictures, digest, tuple(faults))


def is_coco(path: Path) -> bool:
    """Whether it is one at the first look: other tools write .json as well, LabelMe one for each picture."""
    try:
        _, content = _load(path)
    except DatasetError:
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _load(path: Path) -> tuple[bytes, Any]:
    try:
        text = path.read_bytes()
        return text, json.loads(text)
    except OSError as error:
        raise DatasetError(path, [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise DatasetError(path, [f"is not JSON: {error}"]) from error
    except RecursionError as error:
        raise DatasetError(path, ["is not a COCO file: it is nested too deeply"]) from error


def _structure_faults(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["is not a COCO file: the top level is not an object"]
    faults = []
    for key, required in FIELDS.items():
        entries = content.get(key)
        if not isinstance(entries, list):
            faults.append(f'has no list "{key}"')
            continue
        if key != "annotations" and not entries:
            faults.append(f'its list "{key}" is empty')
        for place, entry in enumerate(entries):
            missing = [f for f in required if not isinstance(entry, dict) or f not in entry]
            if missing:
                faults.append(f"{key}[{place}] lacks {', '.join(missing)}")
    if faults:
        return faults
    faults = [
        f"image {image['id']!r}: id, width and height must be whole numbers, file_name a text that can name a file "
        "(no NUL, no half of a surrogate pair)"
        for image in content["images"]
        if not all(type(image[key]) is int for key in ("id", "width", "height"))
        or not _names_file(image["file_name"])
    ]
    faults += [
        f"category {c['id']!r}: id must be a whole number, name a text"
        for c in content["categories"]
        if type(c["id"]) is not int or not isinstance(c["name"], str)
    ]
    return faults or [
        *_doubled(content["images"], "image", "id"),
        # with boxes under the one and none under the other it would be trained on as flawed and as clean
        *_doubled(content["images"], "image", "file_name"),
        *_spelled_twice(content["images"]),
        *_doubled(content["categories"], "category", "id"),
    ]


def _names_file(value: Any) -> bool:
    try:
        return isinstance(value, str) and b"\0" not in value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _doubled(entries: list[dict[str, Any]], word: str, field: str) -> list[str]:
    seen: set[str] = set()
    faults = []
    for entry in entries:
        key = repr(entry[field])
        if key in seen:
            faults.append(f"{word} {field} {key} is given twice")
        seen.add(key)
    return faults


def _spelled_twice(images: list[dict[str, Any]]) -> list[str]:
    """Pictures that are given again under another spelling of their name."""
    firsts: dict[str, str] = {}
    faults = []
    for image in images:
        first = firsts.setdefault(plain_path(image["file_name"]), image["file_name"])
        if first != image["file_name"]:
            faults.append(
                f"image file_name {image['file_name']!r} and {first!r} are one picture, which is thereby given twice: "
                "put all of its boxes under one of them and remove the other"
            )
    return faults


def _fault(entry: dict[str, Any], names: dict[int, str], boxes: dict[Any, Any]) -> str | None:
    name = f"annotation {entry['id']}"
    if not isinstance(entry["category_id"], int) or entry["category_id"] not in names:
        return f"{name} has the unknown category id {entry['category_id']}"
    if not isinstance(entry["image_id"], int) or entry["image_id"] not in boxes:
        return f"{name} belongs to the unknown image id {entry['image_id']}"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return (
            f"{name}: bbox must be four numbers [x, y, width, height], none too large for a float"
        )
    if entry.get("iscrowd"):
        # left out, it would make a picture without other boxes count as clean
        return (
            f"{name} is marked iscrowd, a region of flaws that are not told apart: set iscrowd to 0 where its bbox "
            "is around one flaw, or leave its picture out"
        )
    return None


def _turned_by(entry: dict[str, Any]) -> float:
    """Degrees, as CVAT writes them beside a box that was turned.

    The bbox of an outline is upright already: an attribute of that name is then one that a user made up.
    """
    attributes = entry.get("attributes")
    if entry.get("segmentation") or not isinstance(attributes, dict):
        return 0.0
    return degrees_of(attributes.get("rotation"))


def _is_number(value: Any) -> bool:
    """Whole numbers of JSON may have any length."""
    return type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)
