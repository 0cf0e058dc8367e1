"""A certificate for this machine, made by openssl as an administrator would."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@dataclass(frozen=True)
class Certificate:
    cert_path: Path
    key_path: Path


def make_certificate(
    folder: Path, name: str = "server", names: str = "DNS:localhost,IP:127.0.0.1"
) -> Certificate:
    """Self-signed."""
    made = Certificate(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", f"subjectAltName={names}"),
            *("-keyout", str(made.key_path), "-out", str(made.cert_path)),
        ],
        check=True,
        capture_output=True,
    )
    return made
