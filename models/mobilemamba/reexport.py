"""A released artifact exported anew: the weights, thresholds and facts of the old file in today's graph."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

from flawspec.artifact import read_manifest, verify
from flawspec.manifest import ArtifactManifest
from mobilemamba.artifact_files import derived_path
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.detector import SIZES, Detector, build_detector
from mobilemamba.export import (
    PARITY_BATCHES,
    ExportError,
    artifact_predictor,
    largest_difference,
    require_answers,
    textured_pictures,
    to_onnx,
    with_manifest,
)
from mobilemamba.from_artifact import load_artifact
from mobilemamba.wrapper import ArtifactNetwork

MOST_DIFFERENT = (
    1e-5  # of the new file from the old one; ten times less than an export may differ from PyTorch
)


@dataclass(frozen=True)
class Reexport:
    """What is to be written.

    Attributes:
        artifact, content, sha256: the new file.
        difference: the largest between it and the old one, of scores and of boxes divided by the input's larger side.
    """

    artifact: Path
    content: bytes
    sha256: str
    difference: float


def reexport(source: Path, version: str, folder: Path) -> Reexport:
    """Make ``folder/<name>-<version>.onnx``, which is not written yet; the manifest changes in its version alone.

    Raises:
        CheckpointError: `source` holds no network that this release builds.
        ExportError: the new graph does not say what the old one says, or would overwrite it.
        FlawspecError: `source` is no artifact, or not the listed one.
    """
    verify(source, None)
    manifest = read_manifest(source)
    changed = dataclasses.replace(manifest, model_version=version)
    path = derived_path(changed, folder, source)
    network = ArtifactNetwork(
        _network_in(source, manifest).eval(),
        manifest.normalisation_mean,
        manifest.normalisation_std,
    ).eval()
    size = (manifest.input_height_px, manifest.input_width_px)
    graph = to_onnx(network, *size)
    anew = artifact_predictor(graph.SerializeToString())
    require_answers(anew, *size)
    difference = largest_difference(
        artifact_predictor(source),
        anew,
        textured_pictures(2 * max(PARITY_BATCHES), *size, seed=0),
    )
    if not difference <= MOST_DIFFERENT:
        raise ExportError(
            f"exported anew, {source} differs from itself by {difference:.2e}; "
            f"at most {MOST_DIFFERENT:.0e} is allowed"
        )
    content = with_manifest(graph, changed)
    sha256 = hashlib.sha256(content).hexdigest()
    return Reexport(path, content, sha256, difference)


def _network_in(source: Path, manifest: ArtifactManifest) -> Detector:
    """A manifest does not say which size it is, nor what was left out of it, so each is tried."""
    first: CheckpointError | None = None
    for scan, wavelet, size in itertools.product((True, False), (True, False), SIZES):
        network = build_detector(size, len(manifest.labels.names), scan, wavelet)
        try:
            load_artifact(source, manifest, network)
        except CheckpointError as error:
            first = first or error
        else:
            return network
    raise CheckpointError(
        f"{source} holds none of the networks that this release builds ({', '.join(SIZES)}, with and without "
        f"model.scan and model.wavelet). As {next(iter(SIZES))}: {first}"
    )
