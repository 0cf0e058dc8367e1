"""Artifacts on this machine that may be loaded while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flawline.adapters.artifact_file import (
    ArtifactFile,
    ArtifactShelf,
    packaged_artifact,
    unusable,
)
from flawline.application.lane import Lane
from flawline.application.models import Artifact
from flawline.bootstrap.lanes import LaneMaker
from flawline.bootstrap.parts import Base
from flawline.core.model_errors import UnusableArtifact
from flawline.core.values import ModelInfo
from flawspec.errors import ArtifactError, MissingArtifact


@dataclass(frozen=True, slots=True)
class FileToLoad:
    """LoadableArtifact: a checked file, and what a lane is made with."""

    file: ArtifactFile
    lanes: LaneMaker

    @property
    def info(self) -> ModelInfo:
        """What its manifest says."""
        return self.file.info()

    def lane(self) -> Lane:
        """Not yet loaded."""
        return self.lanes.lane(self.file)

    def unusable(self, error: ArtifactError) -> UnusableArtifact:
        """Without the folder."""
        return unusable(self.file.path, error)


class FileRepository:
    """ModelRepository: FLAWLINE_MODELS_DIR, the artifact started with, and the packaged one."""

    def __init__(self, base: Base, lanes: LaneMaker) -> None:
        self._lanes = lanes
        single = (base.artifact.path, *_packaged())
        self._shelf = ArtifactShelf(base.settings.models_dir, single)

    async def artifacts(self) -> tuple[Artifact, ...]:
        """All of them."""
        return await self._shelf.artifacts()

    async def find(self, name: str, version: str | None) -> FileToLoad:
        """That one. Raises UnknownModel or UnusableArtifact."""
        return FileToLoad(await self._shelf.find(name, version), self._lanes)


def _packaged() -> tuple[Path, ...]:
    try:
        return (packaged_artifact(),)
    except MissingArtifact:
        return ()
