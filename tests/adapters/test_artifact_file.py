from __future__ import annotations

from pathlib import Path

import pytest
from tiny_artifact import write_tiny_artifact

from flawline.adapters import artifact_file
from flawline.adapters.artifact_file import ArtifactFile
from flawspec.errors import HashMismatch, MissingArtifact, NotAnArtifact


def test_a_named_file_is_checked_and_read(tmp_path: Path) -> None:
    path = write_tiny_artifact(tmp_path)
    artifact = ArtifactFile.find(path, None)
    info = artifact.info()
    assert (info.name, info.version, info.sha256) == ("tiny", "1.2.3", artifact.sha256)
    assert info.score_thresholds == {"scratch": 0.5, "pit": 0.35}
    assert (info.input_width_px, info.input_height_px) == (64, 64)
    assert info.ref.sha256 == artifact.sha256
    assert ArtifactFile.find(path, artifact.sha256.upper()) == artifact


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = write_tiny_artifact(tmp_path)
    with pytest.raises(HashMismatch):
        ArtifactFile.find(path, "0" * 64)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(HashMismatch):
        ArtifactFile.find(path, None)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.onnx"
    path.write_text("notes")
    with pytest.raises(NotAnArtifact):
        ArtifactFile.find(path, None)
    with pytest.raises(MissingArtifact):
        ArtifactFile.find(tmp_path / "gone.onnx", None)


def test_without_a_packaged_artifact_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_file, "files", lambda package: tmp_path)
    with pytest.raises(MissingArtifact, match="FLAWLINE_ARTIFACT"):
        ArtifactFile.find(None, None)


def test_the_packaged_artifact_is_taken_when_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "artifacts").mkdir()
    path = write_tiny_artifact(tmp_path / "artifacts", name="default.onnx")
    monkeypatch.setattr(artifact_file, "files", lambda package: tmp_path)
    assert ArtifactFile.find(None, None).path == path
