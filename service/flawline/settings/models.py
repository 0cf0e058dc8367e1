"""Settings of the models that inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class ModelSettings(BaseSettings):
    """Which artifact is started with, and which others may be loaded."""

    artifact: Path | None = Field(
        None, description="The .onnx file to inspect with; without it the one that is packaged."
    )
    artifact_sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="What the artifact must hash to; without it, what SHA256SUMS beside it says.",
    )
    models_dir: Path | None = Field(
        None,
        description="A folder of artifacts that may be loaded while serving, beside the packaged one.",
    )
    model_control: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether callers may load, switch and unload models; `auto`: where only this "
        "machine reaches the server.",
    )
    max_loaded_models: int = Field(
        2, ge=2, le=16, description="How many models may be loaded at a time."
    )
    model_load_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="How long loading and testing a model may take."
    )

    @field_validator("models_dir")
    @classmethod
    def _be_a_folder(cls, models_dir: Path | None) -> Path | None:
        if models_dir is not None and not models_dir.is_dir():
            raise ValueError("must be a folder that exists")
        return models_dir
