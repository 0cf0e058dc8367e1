"""What runs: the build, the model, the engine."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge

from flawline.core.values import ModelInfo


def show_build(registry: CollectorRegistry, version: str) -> None:
    """Say which Flawline this process is."""
    _info(
        registry,
        "flawline_build_info",
        "The Flawline that runs; always 1.",
        {"version": version, "python": platform.python_version()},
    )


def show_model(registry: CollectorRegistry, model: ModelInfo) -> None:
    """Say which model inspects."""
    _info(
        registry,
        "flawline_model_info",
        "The model that inspects; always 1.",
        {"name": model.name, "version": model.version, "sha256": model.sha256},
    )


def show_engine(registry: CollectorRegistry, providers: Sequence[str], threads: int) -> None:
    """Say what the engines of this process compute with; threads: 0 for one a core."""
    _info(
        registry,
        "flawline_engine_info",
        "What the engine computes with, its providers in order of preference; always 1. "
        "0 threads: one a core.",
        {"providers": ",".join(providers), "threads": str(threads)},
    )


def _info(registry: CollectorRegistry, name: str, says: str, labels: dict[str, str]) -> None:
    Gauge(name, says, tuple(labels), registry=registry).labels(**labels).set(1)
