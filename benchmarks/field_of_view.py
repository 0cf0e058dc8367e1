"""How much surface may one frame show? Each picture among clean ones in a larger frame, which the network sees smaller.

python benchmarks/field_of_view.py ARTIFACT --coco FILE --images FOLDER --clean FOLDER lays each picture that has a
flaw at a drawn place of a frame of 2 x 2, 3 x 3 and 4 x 4 pictures, the others of which are clean, runs the artifact as
served, and prints at its own score thresholds: how many of the frames have no detection at all (and so would be OK),
recall and precision of all boxes (right class, IoU 0.5); and how many frames of clean pictures alone have a detection.
With --tiles frames are cut into tiles of the picture's size, as FLAWLINE_TILE_PX does. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import default_recipe
from flawline.core.tiling import Tiling
from flawline.settings import FlawlineSettings
from flawspec.artifact import read_manifest, verify
from flawspec.decoding import DecodeLimits
from flawspec.manifest import ArtifactManifest
from mobilemamba.dataset import Dataset, Sample, load_clean, load_dataset
from mobilemamba.evaluate import Detections
from mobilemamba.export import artifact_predictor
from mobilemamba.operating_point import match, overall

SIDES = (1, 2, 3, 4)


def frame(sample: Sample, clean: Sequence[Sample], side: int, rng: np.random.Generator) -> Sample:
    """`sample` at a drawn place among `side` x `side`; clean pictures of another size are cut or mirrored."""
    rows, columns = sample.shape
    grey = np.empty((side * rows, side * columns), dtype=np.uint8)
    own = int(rng.integers(side * side))
    for place in range(side * side):
        top, left = place // side * rows, place % side * columns
        other = clean[int(rng.integers(len(clean)))].grey
        filled = np.pad(
            other,
            ((0, max(0, rows - other.shape[0])), (0, max(0, columns - other.shape[1]))),
            "symmetric",
        )
        shown = sample.grey if place == own else filled[:rows, :columns]
        grey[top : top + rows, left : left + columns] = shown
    corner = np.array([own % side * columns, own // side * rows] * 2, dtype=np.float32)
    return replace(sample, pixels=grey, boxes_xyxy=sample.boxes_xyxy + corner)


def frames(
    samples: Sequence[Sample], clean: Sequence[Sample], side: int, seed: int
) -> tuple[Sample, ...]:
    """One for each of `samples`."""
    rng = np.random.default_rng(seed)
    return tuple(frame(sample, clean, side, rng) for sample in samples)


class Inspected:
    """An artifact as the service runs it; tiles: whether frames are cut into tiles as large as one picture."""

    def __init__(self, path: Path, manifest: ArtifactManifest, tiles: bool) -> None:
        self._predict = artifact_predictor(path)
        self._manifest = manifest
        self._recipe = default_recipe(manifest)
        self._tiles = tiles

    def detections(self, sample: Sample, side: int) -> Detections:
        """Those of a frame of `side` x `side` pictures that the service would report."""
        rows, columns = sample.shape
        overlap = FlawlineSettings.model_fields["tile_overlap"].default
        tiling = Tiling(columns // side, rows // side, overlap) if self._tiles else None
        pipeline = InspectionPipeline(self._manifest, DecodeLimits(), tiling)
        tiles = pipeline.tiles(sample.grey)
        images = pipeline.images(len(tiles))
        views = pipeline.view(sample.grey, tiles, images)
        found = pipeline.judge_views(*self._predict(images), views, self._recipe).detections
        names = list(self._manifest.labels.names)
        return Detections(
            np.array([astuple(d.box) for d in found], dtype=np.float32).reshape(-1, 4),
            np.array([d.score for d in found], dtype=np.float32),
            np.array([names.index(d.label) for d in found], dtype=np.int64),
        )


def figures(inspected: Inspected, side: int, flawed: Dataset, clean: Sequence[Sample]) -> str:
    detections = [inspected.detections(sample, side) for sample in flawed.samples]
    reported_all = np.zeros(len(flawed.labels))  # thresholds: the service applied its own
    precision, recall = overall(match(flawed, detections), reported_all)
    passed = sum(not len(found.scores) for found in detections)
    alarms = sum(len(inspected.detections(sample, side).scores) > 0 for sample in clean)
    return (
        f"{passed} of {len(detections)} flawed frames have no detection, recall {recall:.1%}, precision "
        f"{precision:.1%}; {alarms} of {len(clean)} clean frames have one"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--coco", type=Path, required=True, help="annotations, COCO JSON")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--clean", type=Path, required=True, help="folder of clean pictures")
    parser.add_argument("--seed", type=int, default=1, help="of places and of clean pictures")
    parser.add_argument(
        "--tiles", action="store_true", help="cut frames into tiles as large as one picture"
    )
    options = parser.parse_args()
    verify(options.artifact, None)
    manifest = read_manifest(options.artifact)
    whole = load_dataset(options.coco, options.images, labels=manifest.labels)
    clean = load_clean(options.clean)
    inspected = Inspected(options.artifact, manifest, options.tiles)
    flawed = [sample for sample in whole.samples if len(sample.class_ids)]
    for side in SIDES:
        dataset = replace(whole, samples=frames(flawed, clean, side, options.seed))
        alone = frames(clean, clean, side, options.seed)
        print(f"{side} x {side}: {figures(inspected, side, dataset, alone)}", flush=True)


if __name__ == "__main__":
    main()
