"""The release that this installation is: one version, and what belongs to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_FILE = "release.json"  # written by docker/make_release.py


@dataclass(frozen=True, slots=True)
class ReleasedArtifact:
    """A model file that was released; packaged: it travels in the package."""

    name: str
    version: str
    sha256: str
    packaged: bool


@dataclass(frozen=True, slots=True)
class Release:
    """version: of package, images, protos and the set of artifacts. document: the whole file, as JSON reads it."""

    version: str
    artifacts: tuple[ReleasedArtifact, ...]
    document: dict[str, Any]

    @classmethod
    def of_this_installation(cls) -> Release:
        """What the package says of itself."""
        document = json.loads((files("flawline") / _FILE).read_text("utf-8"))
        artifacts = tuple(ReleasedArtifact(**entry) for entry in document["artifacts"])
        return cls(document["version"], artifacts, document)

    def holds(self, sha256: str) -> bool:
        """Whether the file of that hash (lower-case hex) is one of its artifacts."""
        return any(artifact.sha256 == sha256 for artifact in self.artifacts)
