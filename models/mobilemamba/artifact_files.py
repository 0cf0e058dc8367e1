"""A folder of artifacts: files that never change under their name, and SHA256SUMS."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from flawspec.artifact import SUMS_NAME, sha256_file
from flawspec.manifest import ArtifactManifest
from mobilemamba.export import ExportError, with_manifest


def write_artifact(path: Path, content: bytes) -> str:
    """Write file and SHA256SUMS, each beside its target and renamed; returns the sha256.

    Raises:
        ExportError: `path` exists and is another file; nothing is written.
    """
    digest = hashlib.sha256(content).hexdigest()
    if path.exists() and sha256_file(path) != digest:
        raise ExportError(
            f"{path} exists and is another artifact; give another version (model.version, --version) or another "
            "folder, or remove it together with its card first"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)
    sums = path.with_name(SUMS_NAME)
    lines = sums.read_text("utf-8").splitlines() if sums.exists() else []
    lines = [line for line in lines if line[66:] != path.name] + [f"{digest}  {path.name}"]
    _replace(sums, "".join(f"{line}\n" for line in sorted(lines, key=lambda s: s[66:])).encode())
    return digest


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


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
