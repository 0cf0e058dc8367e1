"""An artifact whose graph is the network's own, as it was before there was a folded form."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from flawspec.artifact import read_manifest
from mobilemamba.detector import build_detector
from mobilemamba.export import to_onnx, with_manifest
from mobilemamba.from_artifact import load_artifact
from mobilemamba.wrapper import ArtifactNetwork


def in_plain_form(source: Path, folder: Path) -> Path:
    """Write the nano network of `source` into `folder`, under the same name."""
    manifest = read_manifest(source)
    network = build_detector("nano", len(manifest.labels.names))
    load_artifact(source, manifest, network)
    served = ArtifactNetwork(
        network.eval(), manifest.normalisation_mean, manifest.normalisation_std
    )
    with patch("mobilemamba.export.fold", lambda unfolded: unfolded):
        graph = to_onnx(served.eval(), manifest.input_height_px, manifest.input_width_px)
    made = folder / source.name
    made.write_bytes(with_manifest(graph, manifest))
    return made
