"""Data sets: annotations of any of three formats with their pictures, every fault reported at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import xywh_to_xyxy
from flawspec.labels import LabelSet
from mobilemamba.annotations import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotationSet,
    DatasetError,
    files_of,
    name_bytes,
    upright,
)
from mobilemamba.formats.coco import SUFFIX as COCO_SUFFIX
from mobilemamba.formats.coco import is_coco, read_coco
from mobilemamba.formats.voc import SUFFIX as VOC_SUFFIX
from mobilemamba.formats.voc import read_voc
from mobilemamba.formats.yolo import SUFFIX as YOLO_SUFFIX
from mobilemamba.formats.yolo import read_yolo, text_files_of_pictures
from mobilemamba.pictures import Pixels, decoded, grey_of, room
from mobilemamba.watching import Watch, unwatched, watched

TOLERANCE_PX = (
    1.0  # boxes may stand so far outside their picture (annotation tools round); they are clipped
)
MOST_NAMED, MOST_LOOKED_AT = 5, 50  # files that may be COCO, in a folder of something else


@dataclass(frozen=True)
class Sample:
    """One picture with its boxes.

    Attributes:
        name: file name.
        image_id: id in the annotations.
        pixels: uint8 [H, W], or where to decode them from; see `grey` and `shape`.
        boxes_xyxy: float32 [N, 4] in the picture's pixels.
        class_ids: int64 [N], positions in the data set's labels.
    """

    name: str
    image_id: int
    pixels: Pixels
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    @property
    def grey(self) -> NDArray[np.uint8]:
        """uint8 [H, W]; decoded at each call where it is not kept, so ask once.

        Raises:
            DatasetError: see `OnDisk.decoded`.
        """
        return grey_of(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W), known without decoding."""
        return self.pixels.shape


@dataclass(frozen=True)
class Dataset:
    """Samples with their labels; `sha256` names the annotations."""

    labels: LabelSet
    samples: tuple[Sample, ...]
    sha256: str


def spread_over(samples: tuple[Sample, ...], count: int) -> tuple[Sample, ...]:
    """So many of the samples, from all over: sets are often in order of their classes. All where there are fewer."""
    taken = min(count, len(samples))
    return tuple(samples[i * len(samples) // taken] for i in range(taken))


def load_dataset(
    annotations: Path | None,
    images: Path,
    labels: LabelSet | None = None,
    watch: Watch = unwatched,
) -> Dataset:
    """Read annotations and all of their pictures, whose pixels are kept as far as there is room (`pictures.room`).

    Args:
        annotations: a COCO JSON file, or a folder of Pascal VOC (.xml) or YOLO (.txt) files; None for a folder of
            pictures without flaws, which needs `labels`.
        images: folder of the pictures.
        labels: order of the classes; by default that of the annotations. Names must be the same set, except
            that annotations whose format has no list of classes may lack some.
        watch: told of each picture that was read.

    Raises:
        DatasetError: with all faults: unreadable files, missing or damaged pictures, sizes that differ, doubled ids,
            unknown classes or pictures, boxes without area or outside their picture, formats mixed in one folder.
    """
    if annotations is None:
        if labels is None:
            raise DatasetError(images, ["clean pictures cannot come first: they have no classes"])
        return Dataset(labels, *_clean(images, watch))
    found = read_annotations(annotations, images)
    chosen = _labels(annotations, found, labels)
    faults = list(found.faults)
    read = []
    work = f"reading the pictures of {annotations}"
    for picture in watched(found.pictures, len(found.pictures), work, watch):
        grey = _read_picture(picture, images, faults)
        if grey is not None:
            pixels = room().hold(images / picture.file_name, grey)
            read.append(_sample(picture, pixels, chosen, faults))
    if faults:
        raise DatasetError(annotations, faults)
    return Dataset(chosen, tuple(read), found.sha256)


def read_annotations(annotations: Path, images: Path) -> AnnotationSet:
    """Read annotations in whichever format they are, without looking at pixels.

    Raises:
        DatasetError: see `load_dataset`.
    """
    if not annotations.is_dir():
        return read_coco(annotations)
    xml, text = files_of(annotations, VOC_SUFFIX), files_of(annotations, YOLO_SUFFIX)
    if xml:
        if of_pictures := text_files_of_pictures(annotations, images):
            fault = (
                f"holds annotations of two kinds, {xml[0].name} (Pascal VOC) and {of_pictures[0].name} (YOLO): put "
                "those of one kind into a folder of their own"
            )
            raise DatasetError(annotations, [fault])
        return read_voc(annotations, images)
    if text:
        return read_yolo(annotations, images)
    fault = "is a folder without .xml (Pascal VOC) or .txt (YOLO) files"
    looked_at = files_of(annotations, COCO_SUFFIX)[:MOST_LOOKED_AT]
    if coco := [str(path) for path in looked_at if is_coco(path)]:
        more = " or ..." if len(coco) > MOST_NAMED else ""
        fault += f"; COCO is given by its file: {' or '.join(coco[:MOST_NAMED])}{more}"
    raise DatasetError(annotations, [fault])


def load_clean(folder: Path, watch: Watch = unwatched) -> tuple[Sample, ...]:
    """Every picture of a folder, in order of its name, as one without flaws.

    Raises:
        DatasetError: with all faults: no folder, no pictures, pictures that cannot be decoded.
    """
    return _clean(folder, watch)[0]


def _clean(folder: Path, watch: Watch) -> tuple[tuple[Sample, ...], str]:
    """The pictures, and a digest of all names and pixels."""
    try:
        names = sorted(p.name for p in folder.iterdir() if p.is_file())
    except OSError as error:
        raise DatasetError(folder, [f"cannot be read: {error.strerror}"]) from error
    faults = [] if names else ["holds no pictures"]
    samples, listing = [], hashlib.sha256()
    for index, name in enumerate(watched(names, len(names), f"reading {folder}", watch)):
        picture = AnnotatedPicture(name, index + 1, None, ())
        grey = _read_picture(picture, folder, faults)
        if grey is not None:
            none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
            samples.append(Sample(name, index + 1, room().hold(folder / name, grey), *none))
            listing.update(name_bytes(f"{name} {hashlib.sha256(grey).hexdigest()}\n"))
    if faults:
        raise DatasetError(folder, faults)
    return tuple(samples), listing.hexdigest()


def _labels(source: Path, found: AnnotationSet, labels: LabelSet | None) -> LabelSet:
    listed = not source.is_dir() or not files_of(source, VOC_SUFFIX)
    if not listed and not found.class_names:  # clean pictures alone
        if labels is None:
            raise DatasetError(source, [*found.faults, "no box was found in any of its .xml files"])
        return labels
    try:
        own = LabelSet(found.class_names)
    except ValueError as error:
        raise DatasetError(source, [str(error), *found.faults]) from error
    if labels is None:
        return own
    agree = set(own.names) == set(labels.names) if listed else set(own.names) <= set(labels.names)
    if not agree:
        expected, given = ", ".join(labels.names), ", ".join(own.names)
        fault = f"its classes are {given}; expected {expected}"
        raise DatasetError(source, [fault, *found.faults])
    return labels


def _read_picture(
    picture: AnnotatedPicture, folder: Path, faults: list[str]
) -> NDArray[np.uint8] | None:
    path = folder / picture.file_name
    try:
        grey = decoded(path)
    except DatasetError as error:
        faults += error.faults
        return None
    size = (grey.shape[1], grey.shape[0])
    if picture.size_px not in (None, size):
        stated = "x".join(map(str, picture.size_px or ()))
        # who only exchanged the two numbers would train on boxes that lie elsewhere
        turned = (
            "; if its EXIF orientation turns it, its boxes too must be those of the upright picture"
            if picture.size_px == size[::-1]
            else ""
        )
        faults.append(f"picture {path} is {size[0]}x{size[1]}, not {stated}{turned}")
    return grey


def _sample(
    picture: AnnotatedPicture, pixels: Pixels, labels: LabelSet, faults: list[str]
) -> Sample:
    height, width = pixels.shape
    sound: list[tuple[tuple[float, ...], int]] = []
    for box in picture.boxes:
        scale = (width, height, width, height) if box.relative else (1, 1, 1, 1)
        left, top, wide, high = (v * factor for v, factor in zip(box.xywh, scale, strict=True))
        xywh = (left, top, wide, high)
        fault = _box_fault(box, xywh, width, height)
        if fault is None:
            sound.append((upright(xywh, box.degrees), labels.id_of(box.class_name)))
        else:
            faults.append(fault)
    xyxy = xywh_to_xyxy(np.array([xywh for xywh, _ in sound], dtype=np.float32).reshape(-1, 4))
    xyxy[:, 0::2] = xyxy[:, 0::2].clip(0, width)
    xyxy[:, 1::2] = xyxy[:, 1::2].clip(0, height)
    class_ids = np.array([class_id for _, class_id in sound], dtype=np.int64)
    return Sample(picture.file_name, picture.image_id, pixels, xyxy, class_ids)


def _box_fault(
    box: AnnotatedBox, xywh: tuple[float, float, float, float], width: int, height: int
) -> str | None:
    turned = f" turned by {box.degrees:g} degrees" if box.degrees else ""
    shown = f"box [{', '.join(f'{value:g}' for value in xywh)}]{turned}"
    x, y, box_width, box_height = upright(xywh, box.degrees)
    if not (box_width > 0 and box_height > 0):
        return f"{box.where}: {shown} has no area"
    # the corners of one that was turned reach over the edge wherever its flaw runs off the picture
    inside = box.degrees != 0 or (
        x >= -TOLERANCE_PX
        and y >= -TOLERANCE_PX
        and x + box_width <= width + TOLERANCE_PX
        and y + box_height <= height + TOLERANCE_PX
    )
    if not inside:
        return f"{box.where}: {shown} lies outside its {width}x{height} picture"
    shared = min(x + box_width, width) > max(x, 0.0) and min(y + box_height, height) > max(y, 0.0)
    return None if shared else f"{box.where}: {shown} shares no area with its picture"
