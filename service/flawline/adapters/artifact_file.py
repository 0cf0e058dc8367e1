"""The model file on this machine: found, compared with its hash, and read as far as its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from flawline.core.values import ModelInfo
from flawspec.artifact import read_manifest, verify
from flawspec.errors import MissingArtifact
from flawspec.manifest import ArtifactManifest

_PACKAGED_FOLDER = "artifacts"  # holds one artifact under its released name, and SHA256SUMS


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file that was checked."""

    path: Path
    sha256: str
    manifest: ArtifactManifest

    @classmethod
    def find(cls, path: Path | None, sha256: str | None) -> ArtifactFile:
        """The file at `path`, or the one that travels in the package.

        sha256: what it must hash to; None asks the SHA256SUMS beside it. Raises ArtifactError.
        """
        found = path or _packaged()
        return cls(found, verify(found, sha256), read_manifest(found))

    def info(self) -> ModelInfo:
        """What callers may know of it."""
        manifest = self.manifest
        names = manifest.labels.names
        return ModelInfo(
            name=manifest.model_name,
            version=manifest.model_version,
            sha256=self.sha256,
            labels=names,
            input_width_px=manifest.input_width_px,
            input_height_px=manifest.input_height_px,
            score_thresholds=dict(zip(names, manifest.score_thresholds, strict=True)),
            metrics=manifest.metrics,
            metrics_split=manifest.metrics_split,
            license_note=manifest.license_note,
            created_at=manifest.created_at,
        )


def _packaged() -> Path:
    folder = Path(str(files("flawline") / _PACKAGED_FOLDER))
    # a link that points nowhere (a checkout without models/artifacts) is no file
    for path in sorted(folder.glob("*.onnx")):
        if path.is_file():
            return path
    raise MissingArtifact(
        "This installation carries no artifact of its own; "
        "set FLAWLINE_ARTIFACT to an .onnx file written by `mobilemamba export`."
    )
