"""A folder of artifacts: files that never change under their name, and SHA256SUMS."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flawspec.artifact import SUMS_NAME, sha256_file
from mobilemamba.export import ExportError


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


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
