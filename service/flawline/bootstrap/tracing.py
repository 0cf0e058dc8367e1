"""Whether inspections are traced, and where the spans go."""

from __future__ import annotations

from flawline import __version__
from flawline.adapters.system_clock import SystemClock
from flawline.application.ports import Traces
from flawline.application.traces import NoTraces
from flawline.bootstrap.starting import StartupError
from flawline.settings import FlawlineSettings


def traces_of(settings: FlawlineSettings, service: str) -> Traces:
    """As the settings say; service: how this process is named. Raises StartupError."""
    if settings.traces == "off":
        return NoTraces()
    try:
        from flawline.adapters.opentelemetry_traces import OpenTelemetryTraces, otlp_sender
    except ModuleNotFoundError as error:
        raise StartupError(
            "traces (FLAWLINE_TRACES) need OpenTelemetry, which is not installed: "
            "pip install 'flawline[otel]', or set it to off."
        ) from error
    return OpenTelemetryTraces(
        otlp_sender(settings.traces),
        SystemClock(),
        service=service,
        version=__version__,
        ratio=settings.traces_ratio,
    )
