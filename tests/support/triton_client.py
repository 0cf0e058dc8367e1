"""Triton's client, which lives in an environment of its own: it wants an older protobuf than we do."""

from __future__ import annotations

from pathlib import Path

import pytest

# `make test` fills it.
ENVIRONMENT = Path(__file__).parents[2] / ".venv" / "tritonclient"
PYTHON = ENVIRONMENT / "bin" / "python"
SITE_PACKAGES = next(ENVIRONMENT.glob("lib/python*/site-packages"), ENVIRONMENT)

needs_triton_client = pytest.mark.skipif(
    not (SITE_PACKAGES / "tritonclient").is_dir(),
    reason="tritonclient is not installed (make .venv/tritonclient/ready)",
)
