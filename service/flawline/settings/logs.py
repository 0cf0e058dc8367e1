"""Settings of the log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class LogSettings(BaseSettings):
    """What is logged, and how it looks."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From which level on the log has events."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`: an object a line; `auto`: colours on a terminal, else json."
    )
    log_inspections: Literal["none", "odd", "all"] = Field(
        "odd",
        description="Which inspections get a line: `all`, or those that are `odd`, NotDecidable or "
        "Undefined.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, log_level: object) -> object:
        return log_level.lower() if isinstance(log_level, str) else log_level
