"""Settings of traces."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class TraceSettings(BaseSettings):
    """Whether inspections are traced, and which."""

    traces: str = Field(
        "off",
        description="Where traces go: `off`, or the address of an OpenTelemetry collector (OTLP over "
        "gRPC), http://host:4317 or https://. Needs the extra `otel`.",
    )
    traces_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Which share of inspections is traced, where the caller sends no traceparent "
        "that decides it.",
    )

    @field_validator("traces")
    @classmethod
    def _know_the_collector(cls, traces: str) -> str:
        address = urlsplit(traces)
        if traces != "off" and not (address.scheme in {"http", "https"} and address.hostname):
            raise ValueError("must be off, or begin with http:// or https:// and name a host")
        return traces
