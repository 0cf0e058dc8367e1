"""A released artifact measured as it is: through ONNX Runtime, with its own NMS threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from flawspec.manifest import ArtifactManifest
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections, InputGeometry, Metrics, detect, measure
from mobilemamba.export import artifact_predictor
from mobilemamba.watching import Watch, unwatched, watched


@dataclass(frozen=True)
class ArtifactReport:
    """An artifact on a data set: COCO metrics, and each class at the artifact's own threshold."""

    metrics: Metrics
    detections: list[Detections]


def evaluate_artifact(
    path: Path, manifest: ArtifactManifest, dataset: Dataset, watch: Watch = unwatched
) -> ArtifactReport:
    """Measure a released file as it is, with its own NMS threshold."""
    detections = evaluate_samples(path, manifest, dataset.samples, watch)
    return ArtifactReport(measure(dataset, detections), detections)


def evaluate_samples(
    path: Path,
    manifest: ArtifactManifest,
    samples: tuple[Sample, ...],
    watch: Watch = unwatched,
) -> list[Detections]:
    """Detections of a released file down to the lowest scores, one entry a sample."""
    geometry = InputGeometry(
        manifest.input_width_px,
        manifest.input_height_px,
        manifest.pad_value,
        manifest.nms_iou_threshold,
    )
    found = detect(samples, artifact_predictor(path), geometry)
    return list(watched(found, len(samples), "looking for flaws", watch))


def released_figures(metrics: Metrics) -> dict[str, float]:
    """As a manifest holds them: four digits, those that exist."""
    found = metrics.figures().items()
    return {name: round(value, 4) for name, value in found if math.isfinite(value)}
