"""Which model inspects: what a request is bound to, and the model of an api that never changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from flawline.application.ports import JobIntake
from flawline.core.model_errors import ModelsRolledOut, UnknownModel
from flawline.core.recipe import RecipeBook
from flawline.core.values import ModelInfo, ModelRef


@dataclass(frozen=True, slots=True)
class ServingModel:
    """A model, and all that changes with it: a request is bound to one, and to nothing in between.

    recipes: whose thresholds are those of the model. queue: jobs for it. fault: what keeps it from
    answering, None when nothing does.
    """

    info: ModelInfo
    recipes: RecipeBook
    queue: JobIntake
    fault: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that might be loaded: `info` when it can be read, else `fault` says why it cannot.

    file: its name, without the folder.
    """

    file: str
    info: ModelInfo | None = None
    fault: str | None = None


class ModelChoice(Protocol):
    """Says which model an inspection gets."""

    @property
    def stable(self) -> ServingModel:
        """The model of requests that name none."""
        ...

    def loaded(self) -> tuple[ModelInfo, ...]:
        """All that inspect, the stable one first."""
        ...

    def borrowed(
        self, name: str | None = None, version: str | None = None
    ) -> AbstractContextManager[ServingModel]:
        """A model that stays until it is given back, the stable one without a name.

        Name and version are looked up at the call, the version may be left out. Raises UnknownModel.
        """
        ...


class ModelControl(ModelChoice, Protocol):
    """Changes which models are loaded, and which of them is stable.

    Every change goes to its end even when its caller is cancelled. All but reading raises
    ModelControlOff, ModelConflict, and NotReady while the service starts or stops.
    """

    @property
    def previous(self) -> ModelRef | None:
        """What was stable before: where a roll back leads."""
        ...

    async def artifacts(self) -> tuple[Artifact, ...]:
        """What could be loaded, by file name."""
        ...

    async def load(self, name: str, version: str | None = None) -> ModelInfo:
        """Load, warm up and test a model, which then answers those who name it.

        Without a version it is the artifact made last. One that is loaded already stays as it is.
        Raises UnknownModel or UnusableArtifact; then nothing has changed.
        """
        ...

    async def unload(self, name: str, version: str | None = None) -> None:
        """Take no more requests for a model, let it finish those it has, and free its memory.

        Raises UnknownModel, or ModelIsStable.
        """
        ...

    async def switch(self, name: str, version: str | None = None) -> ModelInfo:
        """Make a model stable, loaded first where need be; requests under way keep theirs.

        The former one stays loaded, for a roll back, until room is needed. Raises as `load`.
        """
        ...

    async def roll_back(self, name: str, version: str) -> ModelInfo:
        """Make stable what was before `name` and `version`, which must be stable now.

        So a repeat of the call does not go back twice. Raises StableChanged, NoEarlierModel, and as
        `load`.
        """
        ...


class RolledOutModels:
    """ModelControl of a scaled-out api: its model is that of its manifest, workers bring theirs.

    served: what inspects, that model first.
    """

    def __init__(
        self, model: ServingModel, served: Callable[[], tuple[ModelInfo, ...]] | None = None
    ) -> None:
        self._model = model
        self._served = served or (lambda: (model.info,))

    @property
    def stable(self) -> ServingModel:
        """The model of the api's manifest."""
        return self._model

    @property
    def previous(self) -> ModelRef | None:
        """None: what was before is known to whoever rolls out."""
        return None

    def loaded(self) -> tuple[ModelInfo, ...]:
        """What inspects."""
        return self._served()

    def borrowed(
        self, name: str | None = None, version: str | None = None
    ) -> AbstractContextManager[ServingModel]:
        """The one model. Raises UnknownModel for any other."""
        if name is not None and not is_called(self._model.info, name, version):
            raise UnknownModel(name, version, names_of([self._model.info]))
        return nullcontext(self._model)

    async def artifacts(self) -> tuple[Artifact, ...]:
        """None: nothing can be loaded here."""
        return ()

    async def load(self, name: str, version: str | None = None) -> ModelInfo:
        """Raises ModelsRolledOut."""
        del name, version
        raise ModelsRolledOut

    async def unload(self, name: str, version: str | None = None) -> None:
        """Raises ModelsRolledOut."""
        del name, version
        raise ModelsRolledOut

    async def switch(self, name: str, version: str | None = None) -> ModelInfo:
        """Raises ModelsRolledOut."""
        del name, version
        raise ModelsRolledOut

    async def roll_back(self, name: str, version: str) -> ModelInfo:
        """Raises ModelsRolledOut."""
        del name, version
        raise ModelsRolledOut


def is_called(info: ModelInfo, name: str, version: str | None) -> bool:
    """Whether a model goes by that name and, unless left out, version."""
    return info.name == name and version in (None, info.version)


def names_of(infos: Iterable[ModelInfo]) -> tuple[str, ...]:
    """Name and version of each, as sentences have them."""
    return tuple(f"{info.name} {info.version}" for info in infos)
