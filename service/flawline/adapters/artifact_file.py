"""The model file on this machine: found, compared with its hash, and read as far as its manifest."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from flawline.application.models import Artifact
from flawline.core.model_errors import UnknownModel, UnusableArtifact
from flawline.core.values import ModelInfo
from flawspec.artifact import SUMS_NAME, read_manifest, verify
from flawspec.errors import ArtifactError, MissingArtifact
from flawspec.manifest import ArtifactManifest

_PACKAGED_FOLDER = "artifacts"  # holds one artifact under its released name, and SHA256SUMS
_SUFFIX = ".onnx"
_Stamp = tuple[tuple[int, int], ...]


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
        found = path or packaged_artifact()
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


class ArtifactShelf:
    """Artifacts by name and version: all of one folder, and single files beside it.

    A file is known by what its manifest says; one whose manifest cannot be read, by its file name,
    which for a released artifact is NAME-VERSION.onnx.
    """

    def __init__(self, folder: Path | None, single: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._single = tuple(single)
        self._known: dict[Path, tuple[_Stamp, Artifact]] = {}

    async def artifacts(self) -> tuple[Artifact, ...]:
        """All of them, by file name, with what is wrong with those that cannot be used."""
        return await asyncio.to_thread(self._artifacts)

    async def find(self, name: str, version: str | None) -> ArtifactFile:
        """The one of that name and version, read anew; without a version the one made last.

        Raises UnknownModel or UnusableArtifact.
        """
        return await asyncio.to_thread(self._find, name, version)

    def _artifacts(self) -> tuple[Artifact, ...]:
        seen = {path: _stamp(path) for path in self._paths()}
        # Hashing is what costs, and anybody may ask.
        self._known = {
            path: known
            if (known := self._known.get(path)) is not None and known[0] == stamp
            else (stamp, _looked_at(path))
            for path, stamp in seen.items()
        }
        # A copy of the packaged one in the folder is no other artifact.
        once = {
            (artifact.file, artifact.info.sha256 if artifact.info else path): artifact
            for path, (_, artifact) in self._known.items()
        }
        return tuple(once.values())

    def _find(self, name: str, version: str | None) -> ArtifactFile:
        manifests, others = {}, []
        for path in self._paths():
            try:
                manifest = read_manifest(path)
            except ArtifactError:
                if _would_be_called(path.name, name, version):
                    return _checked(path)
                continue
            if manifest.model_name == name and version in (None, manifest.model_version):
                manifests[path] = manifest
            else:
                others.append(f"{manifest.model_name} {manifest.model_version}")
        if not manifests:
            raise UnknownModel(name, version, tuple(dict.fromkeys(others)))
        return _only_latest(manifests)

    def _paths(self) -> Iterator[Path]:
        """Each file once: the same one may lie in the folder and be named by itself."""
        seen = set()
        in_folder = self._folder.glob(f"*{_SUFFIX}") if self._folder is not None else ()
        for path in sorted((*in_folder, *self._single), key=lambda path: path.name):
            if path.is_file() and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def unusable(path: Path, error: ArtifactError) -> UnusableArtifact:
    """What is wrong with a file, for callers who need not know in which folder it lies."""
    return UnusableArtifact(error.code, str(error).replace(str(path), path.name))


def packaged_artifact() -> Path:
    """The file that travels in the package. Raises MissingArtifact."""
    folder = Path(str(files("flawline") / _PACKAGED_FOLDER))
    # a link that points nowhere (a checkout without models/artifacts) is no file
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if path.is_file():
            return path
    raise MissingArtifact(
        "This installation carries no artifact of its own; "
        "set FLAWLINE_ARTIFACT to an .onnx file written by `mobilemamba export`."
    )


def _looked_at(path: Path) -> Artifact:
    try:
        return Artifact(path.name, ArtifactFile.find(path, None).info())
    except ArtifactError as error:
        return Artifact(path.name, fault=str(unusable(path, error)))


def _only_latest(manifests: Mapping[Path, ArtifactManifest]) -> ArtifactFile:
    """The one made last, its hash compared; copies of one file are one. Raises UnusableArtifact."""
    last = max(manifests.values(), key=lambda manifest: _moment(manifest.created_at))
    version = last.model_version
    twins = [_checked(path) for path in manifests if manifests[path].model_version == version]
    if len({twin.sha256 for twin in twins}) > 1:
        names = ", ".join(twin.path.name for twin in twins)
        message = (
            f"{last.model_name} {version} is in several files that differ ({names}); keep one."
        )
        raise UnusableArtifact("ambiguous_artifact", message)
    return twins[0]


def _checked(path: Path) -> ArtifactFile:
    """The file, its hash compared first: that says more than what is wrong inside."""
    try:
        return ArtifactFile.find(path, None)
    except ArtifactError as error:
        raise unusable(path, error) from error


def _stamp(path: Path) -> _Stamp:
    """Changes when the file changes, or what vouches for it."""
    beside = path.resolve().with_name(SUMS_NAME)
    found = [file.stat() for file in (path, beside) if file.is_file()]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in found)


def _would_be_called(file_name: str, name: str, version: str | None) -> bool:
    stem = file_name.removesuffix(_SUFFIX)
    if version is not None:
        return stem == f"{name}-{version}"
    return stem == name or stem.startswith(f"{name}-")


def _moment(created_at: str) -> datetime:
    # Python 3.10 reads no other fractions than of 3 or 6 digits, and no Z.
    return datetime.fromisoformat(re.sub(r"\.\d+", "", created_at).replace("Z", "+00:00"))
