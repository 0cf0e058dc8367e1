"""COCO data sets: read with every fault reported at once, kept in memory as grey pictures and boxes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import xywh_to_xyxy
from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.errors import PictureError
from flawspec.labels import LabelSet

MOST_FAULTS_SHOWN = 20


class DatasetError(Exception):
    """A data set that cannot be used; `faults` holds one sentence each."""

    def __init__(self, source: Path, faults: list[str]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(f"  - {fault}" for fault in faults[:MOST_FAULTS_SHOWN])
        more = len(faults) - MOST_FAULTS_SHOWN
        tail = f"\n  ... and {more} more" if more > 0 else ""
        super().__init__(f"{source} has {len(faults)} fault(s):\n{shown}{tail}")


@dataclass(frozen=True)
class Sample:
    """One picture with its boxes.

    Attributes:
        name: file name.
        image_id: id in the COCO file.
        grey: uint8 [H, W].
        boxes_xyxy: float32 [N, 4] in the picture's pixels.
        class_ids: int64 [N], positions in the data set's labels.
    """

    name: str
    image_id: int
    grey: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Samples with their labels; `category_ids` are the COCO ids in label order, `sha256` names the annotation file."""

    labels: LabelSet
    category_ids: tuple[int, ...]
    samples: tuple[Sample, ...]
    sha256: str
    source: Path


def load_coco(annotations: Path, images: Path, labels: LabelSet | None = None) -> Dataset:
    """Read a COCO file and all of its pictures.

    Args:
        annotations: JSON file; boxes [x, y, width, height] in pixels.
        images: folder of the pictures.
        labels: order of the classes; by default that of the category ids. Names must be the same set.

    Raises:
        DatasetError: with all faults: unreadable file, missing or damaged pictures, sizes that differ,
            doubled ids, unknown classes or pictures, boxes without area or outside their picture.
    """
    content, text = _read_json(annotations)
    faults = _structure_faults(content)
    if faults:
        raise DatasetError(annotations, faults)
    names = {c["id"]: c["name"] for c in sorted(content["categories"], key=lambda c: c["id"])}
    try:
        chosen = labels or LabelSet(tuple(names.values()))
    except ValueError as error:
        raise DatasetError(annotations, [str(error)]) from error
    if set(chosen.names) != set(names.values()):
        expected, found = ", ".join(chosen.names), ", ".join(names.values())
        raise DatasetError(annotations, [f"its classes are {found}; expected {expected}"])
    position = {category: chosen.id_of(name) for category, name in names.items()}
    pictures, faults = _read_pictures(content["images"], images)
    faults += _doubled(content["annotations"], "annotation")
    boxes: dict[int, list[tuple[list[float], int]]] = {i: [] for i in pictures}
    for entry in content["annotations"]:
        fault = _annotation_fault(entry, pictures, content["images"], position)
        if fault:
            faults.append(fault)
        elif not entry.get("iscrowd"):
            boxes[entry["image_id"]].append((entry["bbox"], position[entry["category_id"]]))
    if faults:
        raise DatasetError(annotations, faults)
    samples = tuple(
        _sample(image["file_name"], image["id"], pictures[image["id"]], boxes[image["id"]])
        for image in content["images"]
    )
    ids = tuple(next(k for k, name in names.items() if name == label) for label in chosen.names)
    return Dataset(chosen, ids, samples, hashlib.sha256(text).hexdigest(), annotations)


def load_clean(folder: Path) -> tuple[Sample, ...]:
    """Every picture of a folder, in order of its name, as one without flaws.

    Raises:
        DatasetError: with all faults: no folder, no pictures, pictures that cannot be decoded.
    """
    try:
        paths = sorted(p for p in folder.iterdir() if p.is_file())
    except OSError as error:
        raise DatasetError(folder, [f"cannot be read: {error.strerror}"]) from error
    entries = []
    faults = [] if paths else ["holds no pictures"]
    for index, path in enumerate(paths):
        try:
            grey = decode_grey(path.read_bytes(), DecodeLimits())
        except (OSError, PictureError) as error:
            faults.append(f"picture {path.name}: {error}")
            continue
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        entries.append(Sample(path.name, index + 1, grey, *none))
    if faults:
        raise DatasetError(folder, faults)
    return tuple(entries)


def _read_json(path: Path) -> tuple[Any, bytes]:
    try:
        text = path.read_bytes()
        return json.loads(text), text
    except OSError as error:
        raise DatasetError(path, [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise DatasetError(path, [f"is not JSON: {error}"]) from error


def _structure_faults(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["is not a COCO file: the top level is not an object"]
    fields = {
        "images": ("id", "file_name", "width", "height"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    faults = []
    for key, required in fields.items():
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
    return faults or _doubled(content["images"], "image") + _doubled(
        content["categories"], "category"
    )


def _doubled(entries: list[dict[str, Any]], word: str) -> list[str]:
    seen: set[Any] = set()
    faults = []
    for entry in entries:
        if entry["id"] in seen:
            faults.append(f"{word} id {entry['id']} is given twice")
        seen.add(entry["id"])
    return faults


def _read_pictures(
    entries: list[dict[str, Any]], folder: Path
) -> tuple[dict[int, NDArray[np.uint8]], list[str]]:
    pictures, faults = {}, []
    for entry in entries:
        path = folder / entry["file_name"]
        try:
            grey = decode_grey(path.read_bytes(), DecodeLimits())
        except OSError as error:
            faults.append(f"picture {path} cannot be read: {error.strerror}")
            continue
        except PictureError as error:
            faults.append(f"picture {path}: {error}")
            continue
        size = (entry["width"], entry["height"])
        if grey.shape != size[::-1]:
            faults.append(
                f"picture {path} is {grey.shape[1]}x{grey.shape[0]}, not {size[0]}x{size[1]}"
            )
        pictures[entry["id"]] = grey
    return pictures, faults


def _annotation_fault(
    entry: dict[str, Any],
    pictures: dict[int, NDArray[np.uint8]],
    images: list[dict[str, Any]],
    position: dict[int, int],
) -> str | None:
    name = f"annotation {entry['id']}"
    if entry["category_id"] not in position:
        return f"{name} has the unknown category id {entry['category_id']}"
    if entry["image_id"] not in pictures:
        known = any(image["id"] == entry["image_id"] for image in images)
        return None if known else f"{name} belongs to the unknown image id {entry['image_id']}"
    box = entry["bbox"]
    if not (
        isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)
    ):
        return f"{name}: bbox must be four numbers [x, y, width, height]"
    x, y, width, height = box
    if not (width > 0 and height > 0):
        return f"{name}: box {box} has no area"
    rows, columns = pictures[entry["image_id"]].shape
    if not (x >= -1 and y >= -1 and x + width <= columns + 1 and y + height <= rows + 1):
        return f"{name}: box {box} lies outside its {columns}x{rows} picture"
    return None


def _sample(
    name: str, image_id: int, grey: NDArray[np.uint8], boxes: list[tuple[list[float], int]]
) -> Sample:
    xywh = np.array([box for box, _ in boxes], dtype=np.float32).reshape(-1, 4)
    xyxy = xywh_to_xyxy(xywh)
    xyxy[:, 0::2] = xyxy[:, 0::2].clip(0, grey.shape[1])
    xyxy[:, 1::2] = xyxy[:, 1::2].clip(0, grey.shape[0])
    return Sample(name, image_id, grey, xyxy, np.array([c for _, c in boxes], dtype=np.int64))
