"""A folder of artifacts: files that never change under their name, and SHA256SUMS."""

from __future__ import annotations

import codecs
import hashlib
import os
from pathlib import Path

import onnx

from flawspec.artifact import SUMS_NAME, sha256_file
from flawspec.manifest import ArtifactManifest
from mobilemamba.export import ExportError, with_manifest
from mobilemamba.whole_file import write_whole


def write_artifact(path: Path, content: bytes) -> str:
    """Write file and SHA256SUMS, each beside its target and renamed; returns the sha256.

    Raises:
        ExportError: `path` exists and is another file, or SHA256SUMS is none; nothing is written.
    """
    digest = hashlib.sha256(content).hexdigest()
    if path.exists() and sha256_file(path) != digest:
        raise _taken(path)
    sums, own = path.with_name(SUMS_NAME), os.fsencode(path.name)
    lines = [line for line in _lines(sums) if line[66:] != own] + [digest.encode() + b"  " + own]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    write_whole(sums, b"".join(line + b"\n" for line in sorted(lines, key=lambda s: s[66:])))
    return digest


def require_free(path: Path) -> None:
    """For what will say when it was made, before it is computed: it can be no file that exists.

    Raises:
        ExportError: `path` exists.
    """
    if path.exists():
        raise _taken(path)


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


def _lines(sums: Path) -> list[bytes]:
    """Of the list, none where there is none. Names in it may be of any encoding that keeps ASCII."""
    held = sums.read_bytes() if sums.exists() else b""
    if b"\0" in held:
        raise ExportError(f"{sums} is no list of sums as text in UTF-8; save it as that")
    return held.removeprefix(codecs.BOM_UTF8).splitlines()


def _taken(path: Path) -> ExportError:
    return ExportError(
        f"{path} exists and is another artifact; give another version (model.version, --version) or another "
        "folder, or remove it together with its card first"
    )
