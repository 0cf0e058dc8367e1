from __future__ import annotations

from pathlib import Path

import pytest
from tiny_artifact import release_tiny_artifact, tiny_manifest, tiny_model, write_tiny_artifact

from flawline.adapters import artifact_file
from flawline.adapters.artifact_file import ArtifactFile, ArtifactShelf
from flawline.core.model_errors import UnknownModel, UnusableArtifact
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


def released(folder: Path, version: str, day: int) -> Path:
    return release_tiny_artifact(
        folder, model_version=version, created_at=f"2026-01-{day:02}T00:00:00Z"
    )


async def test_a_shelf_finds_by_name_and_version_and_else_what_was_made_last(
    tmp_path: Path,
) -> None:
    released(tmp_path, "1.9", day=3)
    last = released(tmp_path, "1.10", day=2)
    last.write_bytes(last.read_bytes())
    shelf = ArtifactShelf(tmp_path)
    assert (await shelf.find("tiny", "1.10")).path == last
    assert (await shelf.find("tiny", None)).info().version == "1.9"
    with pytest.raises(UnknownModel, match=r"no model 'other'.*tiny 1\.10, tiny 1\.9"):
        await shelf.find("other", None)
    for name, version in (("tiny", "2"), ("../tiny", "1.9"), (str(tmp_path / "tiny"), None)):
        with pytest.raises(UnknownModel):
            await shelf.find(name, version)


async def test_a_shelf_has_single_files_too_and_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    single, in_folder = write_tiny_artifact(tmp_path), released(tmp_path / "folder", "2", day=1)
    shelf = ArtifactShelf(tmp_path / "folder", [single, in_folder, tmp_path / "gone.onnx"])
    found = await shelf.artifacts()
    assert [artifact.file for artifact in found] == ["tiny-2.onnx", "tiny.onnx"]
    assert (await shelf.find("tiny", "1.2.3")).path == single
    assert await ArtifactShelf(None).artifacts() == ()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("changed", "hash_mismatch"),
        ("cut", "not_an_artifact"),
        ("contract", "unknown_contract"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said_without_its_folder(
    tmp_path: Path, damage: str, reason: str
) -> None:
    path = released(tmp_path, "2", day=1)
    if damage != "changed":  # else the list would speak first
        (tmp_path / "SHA256SUMS").unlink()
    if damage == "changed":
        path.write_bytes(path.read_bytes() + b"\0")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        text = tiny_manifest().to_json().replace('"contract_version": 1', '"contract_version": 2')
        path.write_bytes(tiny_model(manifest_text=text).SerializeToString())
    shelf = ArtifactShelf(tmp_path)
    with pytest.raises(UnusableArtifact) as raised:
        await shelf.find("tiny", "2")
    assert raised.value.reason == reason
    (listed,) = await shelf.artifacts()
    assert (listed.file, listed.info) == ("tiny-2.onnx", None)
    for text in (str(raised.value), listed.fault):
        assert str(tmp_path) not in text


async def test_two_files_that_say_the_same_of_themselves_are_not_chosen_from(
    tmp_path: Path,
) -> None:
    released(tmp_path, "2", day=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    released(elsewhere, "2", day=2).rename(tmp_path / "twin.onnx")
    with pytest.raises(UnusableArtifact, match=r"tiny-2\.onnx, twin\.onnx"):
        await ArtifactShelf(tmp_path).find("tiny", "2")


async def test_a_copy_of_a_single_file_is_no_other_artifact(tmp_path: Path) -> None:
    # As of the packaged one, which nobody can take away, among all of a release.
    folder = tmp_path / "folder"
    folder.mkdir()
    single = released(tmp_path, "2", day=1)
    (folder / single.name).write_bytes(single.read_bytes())
    shelf = ArtifactShelf(folder, [single])
    assert [artifact.file for artifact in await shelf.artifacts()] == [single.name]
    assert (await shelf.find("tiny", "2")).info().version == "2"
    with pytest.raises(UnknownModel, match=r"there are: tiny 2\."):
        await shelf.find("other", None)


async def test_a_list_follows_the_folder_and_what_vouches_for_its_files(tmp_path: Path) -> None:
    shelf = ArtifactShelf(tmp_path)
    path = released(tmp_path, "2", day=1)
    assert [artifact.fault for artifact in await shelf.artifacts()] == [None]
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  {path.name}\n")
    assert "was expected" in (await shelf.artifacts())[0].fault
    path.unlink()
    assert await shelf.artifacts() == ()
