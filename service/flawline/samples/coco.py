"""A folder of drawn frames with their boxes in COCO JSON, the layout training reads."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from flawline.samples.errors import SampleSetError, SeedError
from flawline.samples.families.catalogue import CLASS_NAMES
from flawline.samples.generator import (
    GENERATOR_VERSION,
    SampleFrame,
    check_frame_size,
    generate_frame,
)

ANNOTATIONS_NAME = "annotations.json"
IMAGES_NAME = "images"
GENERATOR_NAME = "flawline.samples"
MAX_COUNT = 100_000

_FRAME_NAME = re.compile(r"steel_\d{6}\.png")


@dataclass(frozen=True)
class SampleSet:
    """What was written: where, how many pictures, boxes and defect-free pictures."""

    annotations_path: Path
    images_path: Path
    pictures: int
    boxes: int
    clean_pictures: int


@dataclass
class _GroundTruth:
    """The COCO document as it grows frame by frame; ids count from 1."""

    info: dict[str, object]
    images: list[dict[str, object]] = field(default_factory=list)
    annotations: list[dict[str, object]] = field(default_factory=list)

    def add(self, file_name: str, frame: SampleFrame) -> None:
        """Append one picture and its boxes."""
        height, width = frame.grey.shape
        image_id = len(self.images) + 1
        self.images.append(
            {"id": image_id, "file_name": file_name, "width": width, "height": height}
        )
        for box, class_id in zip(frame.boxes_xywh.tolist(), frame.class_ids.tolist(), strict=True):
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )

    def to_json(self) -> str:
        """The document; the same frames give the same text."""
        categories = [{"id": i, "name": name} for i, name in enumerate(CLASS_NAMES)]
        return json.dumps(
            {
                "info": self.info,
                "images": self.images,
                "annotations": self.annotations,
                "categories": categories,
            }
        )


def generate_nth_frame(
    seed: int, index: int, width_px: int, height_px: int, clean_share: float
) -> SampleFrame:
    """Frame number `index` of the set `seed`: independent of how many frames the set has."""
    sequence = np.random.SeedSequence(seed, spawn_key=(index,))
    rng = np.random.Generator(np.random.PCG64(sequence))
    clean = rng.random() < clean_share
    return generate_frame(rng, width_px, height_px, [] if clean else None)


def write_coco(
    folder: Path | str,
    count: int,
    seed: int = 0,
    width_px: int = 200,
    height_px: int = 200,
    clean_share: float = 0.1,
    progress: Callable[[int, int], None] | None = None,
) -> SampleSet:
    """Write folder/images/steel_*.png and folder/annotations.json.

    clean_share: expected share of defect-free frames, 0..1. progress: called with (frames done,
    count) after each frame. The annotations appear last and at once, so a set with annotations
    is whole; an earlier set of this generator in the folder is replaced.
    Raises SampleSetError, SeedError or FrameSizeError, and writes nothing then, or, when the folder fails
    midway, leaves pictures without annotations.
    """
    _check_request(count, seed, clean_share)
    check_frame_size(width_px, height_px)
    folder = Path(folder)
    try:
        _clear_earlier_set(folder)
        (folder / IMAGES_NAME).mkdir(parents=True, exist_ok=True)
        truth = _GroundTruth(info=_describe_set(seed, clean_share))
        clean_pictures = 0
        for index in range(count):
            frame = generate_nth_frame(seed, index, width_px, height_px, clean_share)
            name = f"steel_{index:06d}.png"
            _write_at_once(folder / IMAGES_NAME / name, _png(frame))
            truth.add(name, frame)
            clean_pictures += int(frame.class_ids.size == 0)
            if progress is not None:
                progress(index + 1, count)
        _write_at_once(folder / ANNOTATIONS_NAME, truth.to_json().encode())
    except OSError as error:
        raise SampleSetError(
            f"cannot write samples to {folder}: {error.strerror or error}; "
            "choose a folder that you may write to"
        ) from error
    return SampleSet(
        annotations_path=folder / ANNOTATIONS_NAME,
        images_path=folder / IMAGES_NAME,
        pictures=count,
        boxes=len(truth.annotations),
        clean_pictures=clean_pictures,
    )


def _check_request(count: int, seed: int, clean_share: float) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise SampleSetError(f"cannot draw {count} frames: ask for 1 to {MAX_COUNT}")
    if seed < 0:
        raise SeedError(f"the seed is {seed}: it must be 0 or more")
    if not 0.0 <= clean_share <= 1.0:
        raise SampleSetError(f"the share of clean frames is {clean_share}: it must be 0 to 1")


def _clear_earlier_set(folder: Path) -> None:
    """Remove an earlier set of ours; refuse a folder that holds someone else's annotations."""
    annotations = folder / ANNOTATIONS_NAME
    if not annotations.exists():
        return
    try:
        info = json.loads(annotations.read_bytes())["info"]
        ours = info["generator"] == GENERATOR_NAME
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise SampleSetError(
            f"{annotations} was not written by this generator and is left alone: "
            "choose another folder"
        )
    # Annotations first: without them, half a set is never taken for a whole one.
    annotations.unlink()
    for picture in sorted((folder / IMAGES_NAME).glob("steel_*.png")):
        if _FRAME_NAME.fullmatch(picture.name):
            picture.unlink()


def _describe_set(seed: int, clean_share: float) -> dict[str, object]:
    """The COCO info: says that the pictures are drawn, and how to draw them again."""
    return {
        "description": "Procedurally generated steel frames with drawn-in flaws; not photographs.",
        "generator": GENERATOR_NAME,
        "version": GENERATOR_VERSION,
        "seed": seed,
        "clean_share": clean_share,
        "numpy": np.__version__,
    }


def _png(frame: SampleFrame) -> bytes:
    """The frame as an 8 bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(frame.grey).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def _write_at_once(path: Path, data: bytes) -> None:
    """Write beside the target, then rename: readers see the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
