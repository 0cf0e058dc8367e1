"""A released artifact: measured through ONNX Runtime, with its manifest, model card and line in SHA256SUMS."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from flawspec.manifest import CONTRACT_VERSION, ArtifactManifest, TrainingData
from mobilemamba.artifact_files import write_artifact
from mobilemamba.checkpoint import CheckpointError, Progress, load_average
from mobilemamba.chosen_thresholds import ChosenThresholds
from mobilemamba.config import RunConfig
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.detector import SIDE_MULTIPLE
from mobilemamba.evaluate import (
    NMS_IOU_THRESHOLD,
    Detections,
    InputGeometry,
    Metrics,
    detect,
    lay_in,
    measure,
)
from mobilemamba.export import (
    PARITY_BATCHES,
    ExportError,
    artifact_predictor,
    check_parity,
    require_answers,
    textured_pictures,
    to_onnx,
    with_manifest,
)
from mobilemamba.operating_point import (
    OperatingPoint,
    at_threshold,
    best_f1,
    false_alarm_pictures,
    match,
)
from mobilemamba.sets import load_sets
from mobilemamba.trained_on import TrainedOn, pictures_sha256
from mobilemamba.wrapper import ArtifactNetwork


@dataclass(frozen=True)
class Release:
    """What was written and what it measures.

    Attributes:
        artifact, sha256, manifest: of the file.
        metrics: on the validation set.
        points: each class at its threshold, on the validation set.
        val: the validation set itself.
        false_alarms, clean: clean pictures with any detection at these thresholds, and how many there were.
        progress: of the checkpoint.
        parity: the largest PyTorch to ONNX Runtime difference.
        thresholds_origin: how the thresholds were chosen, where they were given.
    """

    artifact: Path
    sha256: str
    manifest: ArtifactManifest
    metrics: Metrics
    points: tuple[OperatingPoint, ...]
    val: Dataset
    false_alarms: int
    clean: int
    progress: Progress
    parity: float
    thresholds_origin: str = ""


@dataclass(frozen=True)
class ArtifactReport:
    """An artifact on a data set: COCO metrics, and each class at the artifact's own threshold."""

    metrics: Metrics
    detections: list[Detections]


@dataclass(frozen=True)
class ReleaseRequest:
    """What to release: averaged weights of `checkpoint` into `folder`; `clean` are pictures without flaws.

    Without `thresholds` those of the best F1 on the validation set are taken.
    """

    config: RunConfig
    checkpoint: Path
    folder: Path
    clean: tuple[Sample, ...]
    now: datetime
    thresholds: ChosenThresholds | None = None


def release(request: ReleaseRequest, say: Callable[[str], None]) -> Release:
    """Export to ``folder/<name>-<version>.onnx``.

    Unless they are given, thresholds are those of the best F1 for each class on the validation set together
    with the clean pictures, where every detection is a false alarm.

    Raises:
        ConfigError, DatasetError, CheckpointError, CalibrationError, ExportError: nothing is written then.
    """
    config = request.config
    *training, val = load_sets(config)
    detector = config.model.build(len(val.labels.names))
    progress = load_average(request.checkpoint, detector)
    if progress.config_sha256 != config.sha256:
        raise CheckpointError(
            f"{request.checkpoint} was not trained as this configuration says; give the one it was trained with"
        )
    progress.require_data(TrainedOn.of(config, [*training, val]), request.checkpoint)
    network = ArtifactNetwork(detector.eval(), config.input.mean, config.input.std).eval()
    say("exporting the graph")
    graph = to_onnx(network, config.input.height_px, config.input.width_px)
    say("measuring it in ONNX Runtime on the validation set")
    geometry = _geometry(config)
    predict = artifact_predictor(graph.SerializeToString())
    require_answers(predict, geometry.height_px, geometry.width_px)
    detections = list(detect(val.samples, predict, geometry))
    metrics = measure(val, detections)
    clean = list(detect(request.clean, predict, geometry))
    everything = dataclasses.replace(val, samples=(*val.samples, *request.clean))
    if request.thresholds is not None:
        thresholds = request.thresholds.of(val.labels.names)
        trained = [picture for dataset in training for picture in pictures_sha256(dataset.samples)]
        origin = request.thresholds.origin(
            config.sha256, pictures_sha256(everything.samples), trained
        )
    else:
        origin = ""
        thresholds = tuple(best_f1(m).threshold for m in match(everything, [*detections, *clean]))
    points = tuple(
        at_threshold(m, t) for m, t in zip(match(val, detections), thresholds, strict=True)
    )
    manifest = _manifest(config, training, val, metrics, points, request.now)
    content = with_manifest(graph, manifest)
    say("comparing it with PyTorch")
    parity = max(
        check_parity(network, content, pictures)
        for pictures in (
            _real_pictures(val, geometry),
            textured_pictures(8, geometry.height_px, geometry.width_px, seed=0),
        )
    )
    path = request.folder / f"{config.model.name}-{config.model.version}.onnx"
    alarms, clean_count = false_alarm_pictures(
        everything.samples, [*detections, *clean], thresholds
    )
    return Release(
        path,
        write_artifact(path, content),
        manifest,
        metrics,
        points,
        val,
        alarms,
        clean_count,
        progress,
        parity,
        origin,
    )


def evaluate_artifact(path: Path, manifest: ArtifactManifest, dataset: Dataset) -> ArtifactReport:
    """Measure a released file as it is, with its own NMS threshold."""
    detections = evaluate_samples(path, manifest, dataset.samples)
    return ArtifactReport(measure(dataset, detections), detections)


def evaluate_samples(
    path: Path, manifest: ArtifactManifest, samples: tuple[Sample, ...]
) -> list[Detections]:
    """Detections of a released file down to the lowest scores, one entry a sample."""
    geometry = InputGeometry(
        manifest.input_width_px,
        manifest.input_height_px,
        manifest.pad_value,
        manifest.nms_iou_threshold,
    )
    return list(detect(samples, artifact_predictor(path), geometry))


def rewrite(path: Path, manifest: ArtifactManifest, folder: Path) -> tuple[Path, str]:
    """The graph of the artifact at `path` under another manifest; see `write_graph`."""
    return write_graph(onnx.load(path), manifest, folder, path)


def write_graph(
    graph: onnx.ModelProto, manifest: ArtifactManifest, folder: Path, source: Path
) -> tuple[Path, str]:
    """Write an artifact made from the one at `source`; returns the new file and its sha256.

    Raises:
        ExportError: the file would overwrite the one it is made from, or another one.
    """
    target = derived_path(manifest, folder, source)
    return target, write_artifact(target, with_manifest(graph, manifest))


def derived_path(manifest: ArtifactManifest, folder: Path, source: Path) -> Path:
    """Where an artifact made from the one at `source` goes.

    Raises:
        ExportError: that is where the source is.
    """
    target = folder / f"{manifest.model_name}-{manifest.model_version}.onnx"
    if target.resolve() == source.resolve():
        raise ExportError(f"{target} exists and is the source; give another version")
    return target


def released_figures(metrics: Metrics) -> dict[str, float]:
    """As a manifest holds them: four digits, those that exist."""
    found = metrics.figures().items()
    return {name: round(value, 4) for name, value in found if math.isfinite(value)}


def _geometry(config: RunConfig) -> InputGeometry:
    settings = config.input
    return InputGeometry(
        settings.width_px, settings.height_px, settings.pad_value, NMS_IOU_THRESHOLD
    )


def _real_pictures(dataset: Dataset, geometry: InputGeometry) -> NDArray[np.uint8]:
    """Twice as many as the largest batch of the comparison; those of a small set come again."""
    speaking = [s for s in dataset.samples if s.grey.std() >= 1]
    if not speaking:
        raise ExportError("every picture of the validation set is blank")
    chosen = list(itertools.islice(itertools.cycle(speaking), 2 * max(PARITY_BATCHES)))
    return lay_in(chosen, geometry)[0]


def _manifest(
    config: RunConfig,
    training: list[Dataset],
    val: Dataset,
    metrics: Metrics,
    points: tuple[OperatingPoint, ...],
    now: datetime,
) -> ArtifactManifest:
    return ArtifactManifest(
        contract_version=CONTRACT_VERSION,
        model_name=config.model.name,
        model_version=config.model.version,
        labels=val.labels,
        input_width_px=config.input.width_px,
        input_height_px=config.input.height_px,
        input_channels=1,
        stride_multiple=SIDE_MULTIPLE,
        pad_value=config.input.pad_value,
        normalisation_mean=config.input.mean,
        normalisation_std=config.input.std,
        box_encoding="xyxy-input-px",
        nms_iou_threshold=NMS_IOU_THRESHOLD,
        score_thresholds=tuple(point.threshold for point in points),
        training_data=tuple(
            TrainingData(entry.name, entry.split, len(dataset.samples), dataset.sha256)
            for entry, dataset in zip(config.train, training, strict=True)
        ),
        metrics=released_figures(metrics),
        metrics_split=f"{config.val.name} {config.val.split}",
        license_note=config.model.license_note,
        created_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        train_config_sha256=config.sha256,
    )
