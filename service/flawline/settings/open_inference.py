"""Settings of the Open Inference Protocol."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class OpenInferenceSettings(BaseSettings):
    """What its requests may be."""

    max_inference_bytes: int = Field(
        64_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Largest request of the Open Inference Protocol, in bytes.",
    )
    max_inference_pictures: int = Field(
        64, ge=1, le=10_000, description="Most pictures in one such request."
    )
