"""Where a run's weights come from when they are not made anew: another run's checkpoint, or a released artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from flawspec.artifact import read_manifest, verify
from flawspec.errors import FlawspecError
from flawspec.labels import LabelSet
from flawspec.manifest import ArtifactManifest
from mobilemamba.checkpoint import CheckpointError, load_matching, read_progress
from mobilemamba.config import InputConfig, ModelConfig
from mobilemamba.dataset import Sample, spread_over
from mobilemamba.detector import Detector
from mobilemamba.evaluate import NMS_IOU_THRESHOLD, InputGeometry, lay_in
from mobilemamba.from_artifact import load_artifact, recalibrate
from mobilemamba.wrapper import normalise

ARTIFACT_SUFFIX = ".onnx"
CALIBRATION_PICTURES = 96


@dataclass(frozen=True)
class Started:
    """What was taken, in a sentence, and whether the class layers were."""

    sentence: str
    with_classes: bool


def start_from(
    path: Path,
    network: Detector,
    model: ModelConfig,
    labels: LabelSet,
    settings: InputConfig,
    samples: tuple[Sample, ...],
) -> Started:
    """Start `network` from a checkpoint (.safetensors) or an artifact (.onnx).

    Everything is taken but the class layers, which are taken where the file's labels are `labels`; of a checkpoint of
    a former release, which names no labels, where it has as many. The statistics of its batch norms, which an artifact
    does not hold, are taken from `samples`.

    Args:
        path: the file.
        network: freshly made by `model` for `labels`, on the CPU.
        model: what the network is.
        labels: of the run.
        settings: its input.
        samples: what it trains on.

    Raises:
        CheckpointError: the file is missing, damaged, holds another network, or one of another normalisation.
    """
    if path.suffix != ARTIFACT_SUFFIX:
        return _from_checkpoint(path, network, labels, settings)
    manifest = _manifest(path)
    normalisation = (manifest.normalisation_mean, manifest.normalisation_std)
    _require_normalisation(path, normalisation, settings)
    released = model.build(len(manifest.labels.names))
    load_artifact(path, manifest, released)
    recalibrate(released, normalise(_pictures(samples, settings), *normalisation))
    fresh = _class_layers(network)
    network.load_state_dict(released.state_dict() | ({} if manifest.labels == labels else fresh))
    return _started(path, manifest.labels == labels)


def learned_sets(path: Path) -> frozenset[str]:
    """Digests of the sets that the weights in `path` were trained on: of annotations, of a checkpoint's pictures too.

    Only the last run's are known, not those of what that one started from; none of a checkpoint of a former release.

    Args:
        path: a checkpoint (.safetensors) or an artifact (.onnx).

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if path.suffix == ARTIFACT_SUFFIX:
        return frozenset(entry.sha256 for entry in _manifest(path).training_data)
    data = read_progress(path).data
    if data is None:
        return frozenset()
    return frozenset(d for entry in data.sets[:-1] for d in entry.digests())


def _manifest(path: Path) -> ArtifactManifest:
    try:
        verify(path, None)
        return read_manifest(path)
    except FlawspecError as error:
        raise CheckpointError(f"model.start: {error}") from error


def _from_checkpoint(
    path: Path, network: Detector, labels: LabelSet, settings: InputConfig
) -> Started:
    progress = read_progress(path)
    if progress.normalisation is not None:
        _require_normalisation(path, progress.normalisation, settings)
    fresh = {name: value.clone() for name, value in _class_layers(network).items()}
    differing = load_matching(path, network)
    others = differing - fresh.keys()
    if others:
        raise CheckpointError(
            f"{path} holds another network than model.size, model.scan and model.wavelet describe: {len(others)} "
            f"tensors differ, such as {min(others)}; start from one of this network, or leave model.start out"
        )
    if progress.data is None:
        unknown = "; this checkpoint of a former release does not say of which classes it is: see that they are these"
        return _started(path, not differing, unknown)
    same = progress.data.labels == labels.names
    network.load_state_dict(network.state_dict() | ({} if same else fresh))
    return _started(path, same)


def _require_normalisation(path: Path, trained: tuple[float, float], settings: InputConfig) -> None:
    if trained != (settings.mean, settings.std):
        raise CheckpointError(
            f"{path} was trained with input.mean = {trained[0]} and input.std = {trained[1]}; use these"
        )


def _class_layers(network: Detector) -> dict[str, torch.Tensor]:
    own = network.state_dict()
    return {f"head.{name}": own[f"head.{name}"] for name in network.head.class_layer_names()}


def _started(path: Path, whole: bool, unknown: str = "") -> Started:
    lacking = "" if whole else " but those of the classes, which are made anew"
    return Started(f"starting from {path}: every layer{lacking}{unknown}", whole)


def _pictures(samples: tuple[Sample, ...], settings: InputConfig) -> torch.Tensor:
    """Evenly chosen samples as the network sees them, uint8 [N, 1, H, W]."""
    geometry = InputGeometry(
        settings.width_px, settings.height_px, settings.pad_value, NMS_IOU_THRESHOLD
    )
    return torch.from_numpy(lay_in(spread_over(samples, CALIBRATION_PICTURES), geometry)[0])
