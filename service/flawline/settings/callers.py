"""Settings of commands that ask a server."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationInfo, field_validator

from flawline.settings.fields import FlawlineSettings


class CallerSettings(FlawlineSettings):
    """It listens nowhere: an address without a token is none of its faults, nor a certificate without its key."""

    @field_validator("tls_key_file")
    @classmethod
    def _pair_the_files(cls, tls_key_file: Path | None, _: ValidationInfo) -> Path | None:
        return tls_key_file

    @field_validator("insecure")
    @classmethod
    def _stay_on_loopback(cls, insecure: bool, _: ValidationInfo) -> bool:
        return insecure
