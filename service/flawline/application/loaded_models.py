"""The models of this process: loaded, tested, switched and let go while requests go on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from flawline.application.changes import Changes
from flawline.application.deadline import DeadlinePassed, within
from flawline.application.lane import Lane
from flawline.application.models import Artifact, ServingModel, is_called, names_of
from flawline.application.ports import ModelTelemetry
from flawline.application.proving import LoadableArtifact, ModelRepository, Prover
from flawline.core.model_errors import (
    ModelIsStable,
    NoEarlierModel,
    StableChanged,
    TooManyModels,
    UnknownModel,
    UnusableArtifact,
)
from flawline.core.priority import Priority
from flawline.core.values import ModelInfo, ModelRef

logger = logging.getLogger(__name__)

_MOST_EARLIER_MODELS = 16


class LoadedModels:
    """ModelControl of a process that inspects by itself.

    `first` is what it starts with. A request uses its model until it is answered. A model that goes
    is first hidden from new requests, then waited for, then closed: none loses its answer. All
    decisions are made on the event loop; the heavy work, lanes and repository do in threads.

    max_loaded: models at a time, at least 2. leave_s: how long the requests of one that goes are
    waited for; more than any may live. allowed: whether callers may change models.
    """

    def __init__(
        self,
        first: Lane,
        repository: ModelRepository,
        *,
        prover: Prover,
        telemetry: ModelTelemetry,
        max_loaded: int,
        leave_s: float,
        allowed: bool,
    ) -> None:
        self._repository = repository
        self._prover = prover
        self._telemetry = telemetry
        self._max_loaded = max_loaded
        self._leave_s = leave_s
        self._stable = first
        self._lanes = [first]
        self._leaving: list[Lane] = []
        self._earlier: deque[ModelInfo] = deque(maxlen=_MOST_EARLIER_MODELS)
        self._changes = Changes(telemetry, allowed=allowed)

    async def start(self) -> None:
        """Load the first model and take jobs for it. Raises flawspec's ArtifactError."""
        await self._stable.load()
        self._stable.start()
        self._changes.open()

    async def close(self) -> None:
        """End a change that is going on, then every model."""
        await self._changes.close()
        for lane in self._lanes:
            await lane.stop()

    @property
    def stable(self) -> ServingModel:
        """The model of requests that name none."""
        return self._stable.serving

    @property
    def previous(self) -> ModelRef | None:
        """Where a roll back leads."""
        return self._earlier[-1].ref if self._earlier else None

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All that inspect, and those that finish what they were asked before they go."""
        return (*self._lanes, *self._leaving)

    def depth_of(self, priority: Priority) -> int:
        """Pictures of that class that wait, for any model."""
        return sum(lane.queue.depth_of(priority) for lane in self.lanes)

    def oldest_age_s(self, priority: Priority) -> float:
        """How long the oldest of them has waited, in seconds; 0 when none waits."""
        return max(lane.queue.oldest_age_s(priority) for lane in self.lanes)

    def loaded(self) -> tuple[ModelInfo, ...]:
        """All that inspect, the stable one first."""
        return tuple(lane.info for lane in self._stable_first())

    @contextmanager
    def lane(self, name: str, version: str | None = None) -> Iterator[Lane]:
        """A loaded model with its engine, which stays until it is given back. Raises UnknownModel."""
        with self._find(name, version).used() as lane:
            yield lane

    @contextmanager
    def borrowed(
        self, name: str | None = None, version: str | None = None
    ) -> Iterator[ServingModel]:
        """A model that stays until it is given back. Raises UnknownModel."""
        found = self._stable if name is None else self._find(name, version)
        with found.used() as lane:
            yield lane.serving

    async def artifacts(self) -> tuple[Artifact, ...]:
        """What could be loaded."""
        return await self._repository.artifacts()

    async def load(self, name: str, version: str | None = None) -> ModelInfo:
        """Load, warm up and test a model beside the others."""
        lane = await self._changes.run("load", lambda: self._loaded(name, version))
        return lane.info

    async def unload(self, name: str, version: str | None = None) -> None:
        """Let a model go that is not stable."""
        await self._changes.run("unload", lambda: self._unload(name, version))

    async def switch(self, name: str, version: str | None = None) -> ModelInfo:
        """Make a model stable."""
        return await self._changes.run("switch", lambda: self._switch(name, version))

    async def roll_back(self, name: str, version: str) -> ModelInfo:
        """Make stable what was before that one."""
        return await self._changes.run("roll_back", lambda: self._roll_back(name, version))

    def _stable_first(self) -> list[Lane]:
        return [self._stable, *(lane for lane in self._lanes if lane is not self._stable)]

    def _find(self, name: str, version: str | None) -> Lane:
        """The stable one if it goes by that name, else the one loaded last that does."""
        stable, *others = self._stable_first()
        for lane in (stable, *reversed(others)):
            if is_called(lane.info, name, version):
                return lane
        raise UnknownModel(name, version, names_of(self.loaded()))

    async def _loaded(
        self, name: str, version: str | None, earlier: ModelInfo | None = None
    ) -> Lane:
        """The lane that there is, or a new one; earlier: what it must be, before anything is loaded."""
        for lane in self._lanes:
            if version is not None and is_called(lane.info, name, version):
                _require_same(lane.info, earlier)
                return lane
        artifact = await self._repository.find(name, version)
        _require_same(artifact.info, earlier)
        for lane in self._lanes:
            if is_called(lane.info, artifact.info.name, artifact.info.version):
                return lane
        return await self._brought_up(artifact)

    async def _brought_up(self, artifact: LoadableArtifact) -> Lane:
        if len(self._lanes) >= self._max_loaded:
            await self._let_go(self._retired_first())
        lane = await self._prover.proved_lane(artifact)
        lane.start()
        self._lanes.append(lane)
        self._telemetry.expect(lane.recipes.names, lane.info.labels)
        logger.info("model_loaded model=%s", _said_of(lane))
        return lane

    def _retired_first(self) -> Lane:
        """The one to make room. Raises TooManyModels when none may."""
        for lane in self._lanes:
            if lane.retired:
                return lane
        raise TooManyModels(names_of(self.loaded()))

    async def _unload(self, name: str, version: str | None) -> None:
        lane = self._find(name, version)
        if lane is self._stable:
            raise ModelIsStable(lane.info.name, lane.info.version)
        await self._let_go(lane)

    async def _let_go(self, lane: Lane) -> None:
        self._lanes.remove(lane)
        self._leaving.append(lane)
        clock = self._prover.clock
        try:
            await within(clock, clock.monotonic_s() + self._leave_s, lane.until_unused())
        except DeadlinePassed:
            logger.warning("model_still_used model=%s limit_s=%g", _said_of(lane), self._leave_s)
        finally:
            await lane.stop()
            self._leaving.remove(lane)
        logger.info("model_unloaded model=%s", _said_of(lane))

    async def _switch(self, name: str, version: str | None) -> ModelInfo:
        lane = await self._loaded(name, version)
        if lane is not self._stable:
            _require_working(lane)
            self._earlier.append(self._stable.info)
            self._make_stable(lane)
        return lane.info

    async def _roll_back(self, name: str, version: str) -> ModelInfo:
        if not is_called(self._stable.info, name, version):
            raise StableChanged(self._stable.info.ref)
        if not self._earlier:
            raise NoEarlierModel
        earlier = self._earlier[-1]
        lane = await self._loaded(earlier.name, earlier.version, earlier)
        _require_working(lane)
        self._earlier.pop()
        self._make_stable(lane)
        return lane.info

    def _make_stable(self, lane: Lane) -> None:
        """The switch: between two requests, since nothing is awaited."""
        former, self._stable = self._stable, lane
        former.retired, lane.retired = True, False
        self._telemetry.show_model(lane.info)
        logger.info("model_switched from=%s to=%s", _said_of(former), _said_of(lane))


def _require_same(info: ModelInfo, earlier: ModelInfo | None) -> None:
    if earlier is not None and info.sha256 != earlier.sha256:
        message = f"{earlier.name} {earlier.version} is not the file any more that was stable."
        raise UnusableArtifact("hash_mismatch", message)


def _require_working(lane: Lane) -> None:
    reason = lane.worker.fault()
    if reason is not None:
        message = f"{lane.info.name} {lane.info.version} is loaded but does not answer ({reason})."
        raise UnusableArtifact(reason, message)


def _said_of(lane: Lane) -> str:
    return f"{lane.info.name}-{lane.info.version} sha256={lane.info.sha256}"
