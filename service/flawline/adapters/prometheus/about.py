"""What runs: the build, the model, the engine."""

from __future__ import annotations

import platform
from collections.abc import Callable

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
    """Say which model inspects, where that does not change."""
    model_gauge(registry).labels(model.name, model.version, model.sha256).set(1)


def model_gauge(registry: CollectorRegistry) -> Gauge:
    """Has one series: the model of requests that name none."""
    return Gauge(
        "flawline_model_info",
        "The model that inspects; always 1.",
        ("name", "version", "sha256"),
        registry=registry,
    )


def show_certificate(registry: CollectorRegistry, expires_unix_s: float) -> None:
    """Say until when the certificate holds that this process shows its callers."""
    Gauge(
        "flawline_certificate_expires_timestamp_seconds",
        "Where the process speaks TLS: when the certificate that it started with ends, in seconds since 1970.",
        registry=registry,
    ).set(expires_unix_s)


def show_engine(
    registry: CollectorRegistry, device: str, threads: int, fell_back: Callable[[], bool]
) -> None:
    """Say what the engines of this process were told to compute with; threads: 0 for one a core."""
    _info(
        registry,
        "flawline_engine_info",
        "What the engine was told to compute on, and with how many threads (0: one a core); always 1.",
        {"device": device, "threads": str(threads)},
    )
    Gauge(
        "flawline_engine_fallback_active",
        "1 while an engine computes on the CPU although another device was asked for.",
        registry=registry,
    ).set_function(lambda: float(fell_back()))


def _info(registry: CollectorRegistry, name: str, says: str, labels: dict[str, str]) -> None:
    Gauge(name, says, tuple(labels), registry=registry).labels(**labels).set(1)
