"""A released artifact: measured through ONNX Runtime, with its manifest, model card and line in SHA256SUMS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from flawspec.manifest import CONTRACT_VERSION, ArtifactManifest, TrainingData
from mobilemamba.artifact_files import require_free, write_artifact
from mobilemamba.cautions import trained_on_too
from mobilemamba.checkpoint import Progress, load_average, require_own
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
from mobilemamba.measured import released_figures
from mobilemamba.operating_point import (
    OperatingPoint,
    at_threshold,
    best_f1,
    false_alarm_pictures,
    match,
)
from mobilemamba.sets import load_sets
from mobilemamba.speaking import speaking_pictures
from mobilemamba.trained_on import TrainedOn, further_of, pictures_sha256
from mobilemamba.watching import Watch, unwatched
from mobilemamba.wrapper import ArtifactNetwork


@dataclass(frozen=True)
class Release:
    """What was written and what it measures.

    Attributes:
        artifact, sha256, manifest: of the file.
        metrics: on the validation set.
        points: each class at its threshold, on the validation set.
        val: the validation set itself.
        seen: how many of its pictures are trained on as well.
        false_alarms, clean: clean pictures with any detection at these thresholds, and how many there were.
        progress: of the checkpoint.
        parity: the largest PyTorch to ONNX Runtime difference.
        thresholds_origin: how the thresholds were chosen; empty where they are those of the best F1.
    """

    artifact: Path
    sha256: str
    manifest: ArtifactManifest
    metrics: Metrics
    points: tuple[OperatingPoint, ...]
    val: Dataset
    seen: int
    false_alarms: int
    clean: int
    progress: Progress
    parity: float
    thresholds_origin: str = ""


@dataclass(frozen=True)
class ReleaseRequest:
    """What to release: averaged weights of `checkpoint` into `folder`; `clean` are pictures without flaws.

    Of those, copies of one another or of validation pictures are left out.

    Without `thresholds` those of the best F1 on the validation set are taken.
    """

    config: RunConfig
    checkpoint: Path
    folder: Path
    clean: tuple[Sample, ...]
    now: datetime
    thresholds: ChosenThresholds | None = None


def release(
    request: ReleaseRequest, say: Callable[[str], None], watch: Watch = unwatched
) -> Release:
    """Export to ``folder/<name>-<version>.onnx``.

    Unless they are given, thresholds are those of the best F1 for each class on the validation set together
    with the clean pictures, where every detection is a false alarm.

    Raises:
        ConfigError, DatasetError, CheckpointError, CalibrationError, ExportError: nothing is written then.
    """
    config = request.config
    path = require_ready(config, request.checkpoint, request.folder)
    *training, val = load_sets(config, watch)
    if request.thresholds is not None:
        request.thresholds.of(val.labels.names)
    network, progress = _trained(request, [*training, val], watch)
    say("exporting the graph")
    graph = to_onnx(network, config.input.height_px, config.input.width_px)
    say("measuring it in ONNX Runtime on the validation set")
    found = _found(graph, request, val, say)
    thresholds, origin = _thresholds(request, training, found)
    points = tuple(
        at_threshold(m, t) for m, t in zip(match(val, found.in_val), thresholds, strict=True)
    )
    metrics = measure(val, found.in_val)
    manifest = _manifest(config, training, val, metrics, points, request.now)
    content = with_manifest(graph, manifest)
    say("comparing it with PyTorch")
    parity = _parity(network, content, val, _geometry(config))
    alarms, clean = false_alarm_pictures(found.shown.samples, found.in_all, thresholds)
    seen = len(trained_on_too([s for d in training for s in d.samples], val.samples))
    sha256 = write_artifact(path, content)
    return Release(
        path, sha256, manifest, metrics, points, val, seen, alarms, clean, progress, parity, origin
    )


def require_ready(config: RunConfig, checkpoint: Path, folder: Path) -> Path:
    """Before any picture is read; returns the artifact to write.

    Raises:
        CheckpointError, ExportError: `checkpoint` is none of `config`, or the artifact is there already.
    """
    path = folder / f"{config.model.name}-{config.model.version}.onnx"
    require_free(path)
    require_own(checkpoint, config.sha256)
    return path


def _trained(
    request: ReleaseRequest, sets: list[Dataset], watch: Watch
) -> tuple[ArtifactNetwork, Progress]:
    """The averaged weights of the checkpoint, which must be of this configuration and these sets."""
    config = request.config
    detector = config.model.build(len(sets[-1].labels.names))
    progress = load_average(request.checkpoint, detector)
    progress.require_data(TrainedOn.of(config, sets, watch), request.checkpoint)
    network = ArtifactNetwork(detector.eval(), config.input.mean, config.input.std).eval()
    return network, progress


@dataclass(frozen=True)
class _Found:
    """Detections in the validation set, and in all pictures shown: these, then the clean ones."""

    shown: Dataset
    in_val: list[Detections]
    in_all: list[Detections]


def _found(
    graph: onnx.ModelProto, request: ReleaseRequest, val: Dataset, say: Callable[[str], None]
) -> _Found:
    geometry = _geometry(request.config)
    predict = artifact_predictor(graph.SerializeToString())
    require_answers(predict, geometry.height_px, geometry.width_px)
    in_val = list(detect(val.samples, predict, geometry))
    clean = further_of(request.clean, val.samples)
    if copies := len(request.clean) - len(clean):
        say(f"{copies} clean pictures are given again and are counted once")
    in_clean = list(detect(clean, predict, geometry))
    shown = dataclasses.replace(val, samples=(*val.samples, *clean))
    return _Found(shown, in_val, in_val + in_clean)


def _thresholds(
    request: ReleaseRequest, training: list[Dataset], found: _Found
) -> tuple[tuple[float, ...], str]:
    """One a class, and where they are from: empty where they are those of the best F1."""
    if request.thresholds is None:
        return tuple(best_f1(m).threshold for m in match(found.shown, found.in_all)), ""
    trained = [picture for dataset in training for picture in pictures_sha256(dataset.samples)]
    shown = pictures_sha256(found.shown.samples)
    origin = request.thresholds.origin(request.config.sha256, shown, trained)
    return request.thresholds.of(found.shown.labels.names), origin


def _parity(
    network: ArtifactNetwork, content: bytes, val: Dataset, geometry: InputGeometry
) -> float:
    textured = textured_pictures(8, geometry.height_px, geometry.width_px, seed=0)
    return max(
        check_parity(network, content, pictures)
        for pictures in (_real_pictures(val, geometry), textured)
    )


def _geometry(config: RunConfig) -> InputGeometry:
    settings = config.input
    return InputGeometry(
        settings.width_px, settings.height_px, settings.pad_value, NMS_IOU_THRESHOLD
    )


def _real_pictures(dataset: Dataset, geometry: InputGeometry) -> NDArray[np.uint8]:
    """Twice as many as the largest batch of the comparison."""
    pictures = speaking_pictures(dataset.samples, geometry, 2 * max(PARITY_BATCHES))
    if pictures is None:
        raise ExportError(
            "every picture of the validation set is blank, so that PyTorch and ONNX Runtime cannot be compared on "
            "them: give it pictures that show something"
        )
    return pictures


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
