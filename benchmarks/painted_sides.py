"""What does a detector do when it sees past the edge of the strip? Each side painted over in turn, black and white.

python benchmarks/painted_sides.py ARTIFACT --coco FILE --images FOLDER --clean FOLDER paints 60 px of each picture,
runs the artifact as served, and prints mAP50, recall and precision of all boxes at the artifact's own score thresholds
(IoU 0.5), and how many of the clean pictures are reported. A box of which less than half is left counts no more.
Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from flawspec.artifact import read_manifest, verify
from flawspec.manifest import ArtifactManifest
from mobilemamba.dataset import Dataset, Sample, load_clean, load_dataset
from mobilemamba.evaluate import measure
from mobilemamba.measured import evaluate_samples
from mobilemamba.operating_point import false_alarm_pictures, match, overall
from mobilemamba.strip_edge import painted_beyond

PAINTED_PX = 60
LEAST_VISIBLE = 0.5
LEVELS = {"black": 0, "white": 255}
SIDES = ("left", "top", "right", "bottom")


def painted(samples: tuple[Sample, ...], side: int, level: int) -> tuple[Sample, ...]:
    """The same with 60 px of one side at that grey level, and the boxes that are left."""
    found = []
    for sample in samples:
        rows, columns = sample.shape
        window = [0, 0, columns, rows]
        window[side] += PAINTED_PX if side < 2 else -PAINTED_PX
        left, top, right, bottom = window
        grey, boxes, kept = painted_beyond(
            sample.grey, sample.boxes_xyxy, (left, top, right, bottom), level, LEAST_VISIBLE
        )
        found.append(
            replace(sample, pixels=grey, boxes_xyxy=boxes, class_ids=sample.class_ids[kept])
        )
    return tuple(found)


def figures(
    path: Path, manifest: ArtifactManifest, dataset: Dataset, clean: tuple[Sample, ...]
) -> str:
    thresholds = manifest.score_thresholds
    detections = evaluate_samples(path, manifest, dataset.samples)
    precision, recall = overall(match(dataset, detections), thresholds)
    in_clean = evaluate_samples(path, manifest, clean)
    alarms, count = false_alarm_pictures(clean, in_clean, thresholds)
    return (
        f"mAP50 {measure(dataset, detections).map50:.3f}, recall {recall:6.1%}, precision {precision:6.1%}, "
        f"clean pictures reported {alarms} of {count}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--coco", type=Path, required=True, help="annotations, COCO JSON")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--clean", type=Path, required=True, help="folder of clean pictures")
    options = parser.parse_args()
    verify(options.artifact, None)
    manifest = read_manifest(options.artifact)
    whole = load_dataset(options.coco, options.images, labels=manifest.labels)
    clean = load_clean(options.clean)
    print(f"{'as they are':14s} {figures(options.artifact, manifest, whole, clean)}")
    for number, side in enumerate(SIDES):
        for name, level in LEVELS.items():
            dataset = replace(whole, samples=painted(whole.samples, number, level))
            cut = painted(clean, number, level)
            print(f"{side + ' ' + name:14s} {figures(options.artifact, manifest, dataset, cut)}")


if __name__ == "__main__":
    main()
