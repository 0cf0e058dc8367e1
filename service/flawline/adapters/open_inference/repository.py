"""Which models could be loaded, loading and unloading, in the words of the model repository extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flawline.adapters.open_inference.catalogue import RAW_SUFFIX
from flawline.adapters.open_inference.errors import invalid, shown, translated
from flawline.application.models import ModelControl
from flawline.core.errors import InspectionError

_READY, _UNAVAILABLE = "READY", "UNAVAILABLE"
_PASSED_OVER = {"unload_dependents"}  # no model here depends on another


class RepositoryService:
    """Asks `control`. An artifact's two models come and go together, by either name."""

    def __init__(self, control: ModelControl, *, with_raw: bool) -> None:
        self._control = control
        self._with_raw = with_raw

    async def index(self, *, ready_only: bool) -> list[dict[str, Any]]:
        """Every model that is loaded or could be, its state, and what is wrong with it."""
        loaded = self._control.loaded()
        rows = [_row(info.name, info.version, _READY) for info in loaded]
        if self._with_raw:
            rows += [_row(info.name + RAW_SUFFIX, info.version, _READY) for info in loaded]
        if ready_only:
            return rows
        known = {(info.name, info.version) for info in loaded}
        for artifact in await self._control.artifacts():
            info = artifact.info
            if info is None:
                rows.append(_row(artifact.file, "", _UNAVAILABLE, artifact.fault or "unreadable"))
            elif (info.name, info.version) not in known:
                rows.append(_row(info.name, info.version, _UNAVAILABLE, "not loaded"))
        return rows

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Load, warm up and test a model. Raises OpenInferenceError."""
        version = _version(parameters)
        try:
            await self._control.load(await self._artifact_name(name), version)
        except InspectionError as error:
            raise translated(error) from error

    async def unload(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Let a model finish and go. Raises OpenInferenceError."""
        version = _version(parameters)
        try:
            await self._control.unload(await self._artifact_name(name), version)
        except InspectionError as error:
            raise translated(error) from error

    async def _artifact_name(self, name: str) -> str:
        stem = name.removesuffix(RAW_SUFFIX)
        if stem == name or not self._with_raw:
            return name
        names = {info.name for info in self._control.loaded()}
        names |= {a.info.name for a in await self._control.artifacts() if a.info is not None}
        return name if name in names else stem


def _row(name: str, version: str, state: str, reason: str = "") -> dict[str, Any]:
    return {"name": name, "version": version, "state": state, "reason": reason}


def _version(parameters: Mapping[str, Any]) -> str | None:
    """The one parameter there is; a configuration or files of the caller's are not taken."""
    for name in parameters:
        if name != "version" and name not in _PASSED_OVER:
            raise invalid(f"There is no parameter {shown(name)} here; known: version.")
    version = parameters.get("version")
    if version is not None and not isinstance(version, str):
        raise invalid("Parameter 'version' must be text.")
    return version or None
