"""From an artifact to a lane that has shown that it works."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.failures import new_error_id
from flawline.application.lane import Lane
from flawline.application.models import Artifact
from flawline.application.ports import Clock
from flawline.application.self_test import self_test
from flawline.core.model_errors import UnusableArtifact
from flawline.core.values import ModelInfo
from flawspec.errors import ArtifactError

logger = logging.getLogger(__name__)


class LoadableArtifact(Protocol):
    """A file whose hash was compared and whose manifest was read."""

    @property
    def info(self) -> ModelInfo:
        """What it says of itself."""
        ...

    def lane(self) -> Lane:
        """All that inspects by it, not yet loaded."""
        ...

    def unusable(self, error: ArtifactError) -> UnusableArtifact:
        """The same for callers, who need not know in which folder it lies."""
        ...


class ModelRepository(Protocol):
    """Where artifacts lie that may be loaded. Callers choose by name and version, never by path."""

    async def artifacts(self) -> tuple[Artifact, ...]:
        """All of them."""
        ...

    async def find(self, name: str, version: str | None) -> LoadableArtifact:
        """That artifact; without a version the one made last.

        Raises UnknownModel or UnusableArtifact.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prover:
    """Loads, warms up and tests, within `limit_s`; max_batch: the largest batch that will be run."""

    clock: Clock
    limit_s: float
    max_batch: int

    async def proved_lane(self, artifact: LoadableArtifact) -> Lane:
        """A lane that may take jobs. Raises UnusableArtifact; then nothing of it is left."""
        lane = artifact.lane()
        try:
            await self._prove(lane, artifact)
        except BaseException:
            await lane.stop()
            raise
        return lane

    async def _prove(self, lane: Lane, artifact: LoadableArtifact) -> None:
        name = f"{lane.info.name} {lane.info.version}"
        until_s = self.clock.monotonic_s() + self.limit_s
        try:
            await within(self.clock, until_s, _load_and_test(lane, self.max_batch))
        except DeadlinePassed:
            message = f"{name} was not loaded and tested within {self.limit_s:g} s."
            raise UnusableArtifact("load_timeout", message) from None
        except (UnusableArtifact, asyncio.CancelledError):
            raise
        except ArtifactError as error:
            raise artifact.unusable(error) from error
        except Exception as error:
            error_id = new_error_id()
            logger.exception("model_load_failed model=%r error_id=%s", name, error_id)
            message = f"{name} could not be loaded; the server's log has why under {error_id}."
            raise UnusableArtifact("load_failed", message) from error


async def _load_and_test(lane: Lane, max_batch: int) -> None:
    await lane.load()
    await self_test(lane, max_batch)
