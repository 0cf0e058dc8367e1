"""Settings from the environment, with all that is wrong named at once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from flawline.settings.callers import CallerSettings
from flawline.settings.fields import PREFIX, FlawlineSettings

_SERVICE_LINK = re.compile(r"(.*_)?(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")
_SECRET = {"queue"}  # an address may hold a password, and faults are printed


class SettingsError(Exception):
    """Settings that cannot be used; `faults` has one sentence for each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("Settings cannot be used:\n" + "\n".join(f"  {f}" for f in self.faults))


def load_settings(**overrides: Any) -> FlawlineSettings:
    """Settings from the environment; overrides that are not None win.

    Raises SettingsError with all faults at once.
    """
    return _loaded(FlawlineSettings, overrides)


def load_caller_settings(**overrides: Any) -> FlawlineSettings:
    """The same for what only asks a server, and listens nowhere."""
    return _loaded(CallerSettings, overrides)


def _loaded(kind: type[FlawlineSettings], overrides: Mapping[str, Any]) -> FlawlineSettings:
    faults = _unknown_variables(os.environ)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = kind(**given)
    except ValidationError as error:
        faults += [_sentence(fault) for fault in error.errors(include_url=False)]
    if faults:
        raise SettingsError(faults)
    return settings


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A misspelt variable would leave a default in force that someone believes changed."""
    known = [name.upper() for name in FlawlineSettings.model_fields]
    unknown = sorted(
        name.removeprefix(PREFIX)
        for name in environment
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known
    )
    return [f"{PREFIX}{name}: there is no such setting; {_hint(name, known)}" for name in unknown]


def _hint(name: str, known: Sequence[str]) -> str:
    if _SERVICE_LINK.fullmatch(name):
        return "Kubernetes makes it for a Service; set enableServiceLinks: false in the pod."
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {PREFIX}{near[0]}?" if near else "remove it."


def _sentence(fault: Mapping[str, Any]) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else "settings"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if name in _SECRET:
        return f"{name} ({PREFIX}{name.upper()}): {message}"
    return f"{name} ({PREFIX}{name.upper()}): {message}; it is {fault['input']!r}"
