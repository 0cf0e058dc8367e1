"""From which blur on does a detector miss flaws? Its recall and mAP50 on a data set that is blurred more and more.

python benchmarks/blur_recall.py ARTIFACT --coco FILE --images FOLDER blurs each picture (Gaussian), runs the artifact
as served, and prints recall and precision of all boxes at the artifact's own score thresholds (IoU 0.5), and how many
of the pictures with flaws got no box at all: those would have been OK. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from blur import Blur, gaussian
from flawspec.artifact import read_manifest, verify
from mobilemamba.dataset import Dataset, load_dataset
from mobilemamba.measured import evaluate_artifact
from mobilemamba.operating_point import match, overall

SIGMAS_PX = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)


def blurred(dataset: Dataset, sigma_px: float, noise: float, seed: int) -> Dataset:
    if not sigma_px:
        return dataset
    blur, rng = Blur("", gaussian(sigma_px), noise), np.random.default_rng(seed)
    samples = (replace(sample, pixels=blur.of(sample.grey, rng)) for sample in dataset.samples)
    return replace(dataset, samples=tuple(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--coco", type=Path, required=True, help="annotations, COCO JSON")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--noise", type=float, default=0.0, help="of the sensor, in grey levels")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    options = parser.parse_args()
    verify(options.artifact, None)
    manifest = read_manifest(options.artifact)
    sharp = load_dataset(options.coco, options.images, labels=manifest.labels)
    flawed = sum(len(sample.class_ids) > 0 for sample in sharp.samples)
    thresholds = np.array(manifest.score_thresholds, dtype=np.float32)
    print(f"{manifest.model_name}: {len(sharp.samples)} pictures, {flawed} with flaws")
    for sigma_px in SIGMAS_PX:
        dataset = blurred(sharp, sigma_px, options.noise, options.seed)
        report = evaluate_artifact(options.artifact, manifest, dataset)
        matches = match(dataset, report.detections)
        precision, recall = overall(matches, manifest.score_thresholds)
        missed = sum(
            len(s.class_ids) > 0 and not (d.scores >= thresholds[d.class_ids]).any()
            for s, d in zip(dataset.samples, report.detections, strict=True)
        )
        print(
            f"  sigma {sigma_px:4g} px: recall {recall:6.1%}, precision {precision:6.1%}, "
            f"mAP50 {report.metrics.map50:.3f}, flawed pictures called OK {missed / flawed:6.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
