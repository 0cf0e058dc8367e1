"""Settings of connections."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class ConnectionSettings(BaseSettings):
    """How long they live."""

    grpc_connection_age_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="A gRPC connection of this age takes no new calls: its client connects anew, and may come to "
        "another api. Streams on it end `max_deadline_ms` later, to be opened again. 0 for never.",
    )
    http_connection_age_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="An HTTP connection of this age is closed with its next answer: its client connects anew, and may "
        "come to another api. 0 for never.",
    )
