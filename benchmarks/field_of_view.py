"""How much surface may one frame show? Pictures laid side by side into larger frames, which the network sees smaller.

python benchmarks/field_of_view.py ARTIFACT --coco FILE --images FOLDER makes frames of 1, 2 x 2, 3 x 3 and 4 x 4 of
the pictures (in an order drawn from --seed), runs the artifact as served, and prints how large the frames are, mAP50,
and recall and precision of all boxes at the artifact's own score thresholds (IoU 0.5). What is left over when the
pictures do not fill a last frame is not shown.
Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from flawspec.artifact import read_manifest, verify
from mobilemamba.dataset import Dataset, Sample, load_dataset
from mobilemamba.evaluate import measure
from mobilemamba.measured import evaluate_samples
from mobilemamba.operating_point import match, overall

SIDES = (1, 2, 3, 4)


def frame(samples: list[Sample], side: int, number: int) -> Sample:
    """`side` x `side` pictures in one, each in the place that the largest of them needs."""
    rows = max(sample.grey.shape[0] for sample in samples)
    columns = max(sample.grey.shape[1] for sample in samples)
    grey = np.zeros((side * rows, side * columns), dtype=np.uint8)
    boxes = []
    for place, sample in enumerate(samples):
        top, left = place // side * rows, place % side * columns
        height, width = sample.grey.shape
        # Smaller ones go on with their own last lines: no edge that no surface has.
        filled = np.pad(sample.grey, ((0, rows - height), (0, columns - width)), "reflect")
        grey[top : top + rows, left : left + columns] = filled
        boxes.append(sample.boxes_xyxy + np.array([left, top, left, top], dtype=np.float32))
    return Sample(
        name=f"frame-{number}",
        image_id=number,
        grey=grey,
        boxes_xyxy=np.concatenate(boxes),
        class_ids=np.concatenate([sample.class_ids for sample in samples]),
    )


def frames(dataset: Dataset, side: int, seed: int) -> Dataset:
    """The pictures of `dataset` as frames of `side` x `side`."""
    order = np.random.default_rng(seed).permutation(len(dataset.samples))
    drawn = [dataset.samples[i] for i in order]
    starts = range(0, len(drawn) - side**2 + 1, side**2)
    made = [
        frame(drawn[start : start + side**2], side, number) for number, start in enumerate(starts)
    ]
    return replace(dataset, samples=tuple(made))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--coco", type=Path, required=True, help="annotations, COCO JSON")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=1, help="order of the pictures")
    options = parser.parse_args()
    verify(options.artifact, None)
    manifest = read_manifest(options.artifact)
    whole = load_dataset(options.coco, options.images, labels=manifest.labels)
    for side in SIDES:
        dataset = frames(whole, side, options.seed)
        detections = evaluate_samples(options.artifact, manifest, dataset.samples)
        precision, recall = overall(match(dataset, detections), manifest.score_thresholds)
        height, width = dataset.samples[0].grey.shape
        print(
            f"{side} x {side}: {len(dataset.samples)} frames of {width}x{height}, mAP50 "
            f"{measure(dataset, detections).map50:.3f}, recall {recall:.1%}, precision {precision:.1%}"
        )


if __name__ == "__main__":
    main()
