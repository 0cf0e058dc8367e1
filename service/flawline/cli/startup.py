"""Settings and start-up, with every fault told to the person who can put it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flawline.bootstrap import StartupError
from flawline.cli.fault import Fault
from flawline.settings import FlawlineSettings, SettingsError, load_caller_settings, load_settings


def settings_from(**overrides: Any) -> FlawlineSettings:
    """Settings of the environment; overrides that are not None win. Raises Fault."""
    with _faults_told():
        return load_settings(**overrides)


def caller_settings(**overrides: Any) -> FlawlineSettings:
    """The same for what only asks, and listens nowhere."""
    with _faults_told():
        return load_caller_settings(**overrides)


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise Fault(str(error)) from error


@contextmanager
def startup_explained() -> Iterator[None]:
    """Around what starts a service: a bad artifact or a taken port becomes a Fault."""
    try:
        yield
    except StartupError as error:
        raise Fault(str(error)) from error
