"""Why a model is not the one asked for, or was not changed, without any protocol's status.

InspectionError
├── UnknownModel         .name, .version: neither loaded nor (for a change) among the artifacts
├── UnusableArtifact     .reason: missing_artifact | not_an_artifact | unknown_contract | invalid_manifest |
│                        hash_mismatch | ambiguous_artifact | graph_mismatch | device_unavailable |
│                        self_test_failed | load_timeout | load_failed | engine_stuck | worker_failed
├── ModelControlOff      models may not be changed here
└── ModelConflict        the change does not fit what runs now
    ├── ModelsRolledOut      scaled out: models change with the workers
    ├── ChangeInProgress     .retry_after_s
    ├── TooManyModels        .loaded: one has to go first
    ├── ModelIsStable        the model that callers get by default stays loaded
    ├── StableChanged        .stable: another one is, by now
    └── NoEarlierModel       nothing to go back to
"""

# ruff: noqa: N818 - the names say what is wrong, as those in `core.errors` do

from __future__ import annotations

from collections.abc import Sequence

from flawline.core.errors import InspectionError
from flawline.core.values import ModelRef

_SHOWN_CHARACTERS = 64


def named(name: str, version: str | None) -> str:
    """Name and version as sentences carry them; cut, since a caller chose the words."""
    return repr(_cut(name)) if version is None else f"{_cut(name)!r} version {_cut(version)!r}"


class UnknownModel(InspectionError):
    """No model goes by that name and version."""

    code = "unknown_model"

    def __init__(self, name: str, version: str | None, known: Sequence[str]) -> None:
        names = ", ".join(dict.fromkeys(known)) or "none"  # one may lie in two places
        super().__init__(f"There is no model {named(name, version)} here; there are: {names}.")
        self.name = _cut(name)
        self.version = None if version is None else _cut(version)


class UnusableArtifact(InspectionError):
    """The artifact cannot be used; whatever was loaded before goes on as it was."""

    code = "unusable_artifact"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ModelControlOff(InspectionError):
    """Whoever runs the service has not allowed models to be changed by callers."""

    code = "model_control_off"

    def __init__(self) -> None:
        super().__init__(
            "Models cannot be changed over the network here; FLAWLINE_MODEL_CONTROL=on allows it."
        )


class ModelConflict(InspectionError):
    """The change does not fit what runs at this moment."""

    code = "model_conflict"


class ModelsRolledOut(ModelConflict):
    """Scaled out, each worker runs the artifact that it was started with."""

    code = "models_rolled_out"

    def __init__(self) -> None:
        super().__init__(
            "This api shares a queue with workers, and models change with them: "
            "roll out workers and api with the other FLAWLINE_ARTIFACT."
        )


class ChangeInProgress(ModelConflict):
    """One change at a time."""

    code = "change_in_progress"
    retry_after_s = 2.0

    def __init__(self) -> None:
        super().__init__("Another change of models is going on; try again when it has ended.")


class TooManyModels(ModelConflict):
    """As many models are loaded as may be, and none of them is a former stable one."""

    code = "too_many_models"

    def __init__(self, loaded: Sequence[str]) -> None:
        names = ", ".join(loaded)
        super().__init__(
            f"As many models are loaded as may be (FLAWLINE_MAX_LOADED_MODELS): {names}; "
            "unload one that is not stable first."
        )
        self.loaded = tuple(loaded)


class ModelIsStable(ModelConflict):
    """The stable model cannot be unloaded."""

    code = "model_is_stable"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            f"{named(name, version)} is stable; make another one stable before unloading it."
        )


class StableChanged(ModelConflict):
    """To roll back what is not stable any more would undo somebody else's change."""

    code = "stable_changed"

    def __init__(self, stable: ModelRef) -> None:
        super().__init__(f"Nothing was rolled back: stable is {stable.name} {stable.version} now.")
        self.stable = stable


class NoEarlierModel(ModelConflict):
    """The stable model is the first one."""

    code = "no_earlier_model"

    def __init__(self) -> None:
        super().__init__("There is no earlier model to roll back to since the service started.")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
