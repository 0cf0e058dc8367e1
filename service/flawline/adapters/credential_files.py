"""The token and the certificate as files on this machine: read once, and refused when they cannot serve."""

from __future__ import annotations

import logging
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path

from flawline.core.lock import TOKEN_RULE, is_token

logger = logging.getLogger(__name__)

_MOST_BYTES = 1_000_000


class CredentialError(Exception):
    """A file that cannot be used; the text names it, and shows nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain, and the key it was made for; both PEM, the key unencrypted."""

    cert_path: Path
    key_path: Path
    cert_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)

    @classmethod
    def read(cls, cert_path: Path, key_path: Path) -> TlsFiles:
        """Read both and try them on each other. Raises CredentialError."""
        cert_pem, key_pem = _read(cert_path), _read(key_path)
        _warn_if_others_read(key_path)
        files = cls(cert_path, key_path, cert_pem, key_pem)
        files.context()
        return files

    def context(self) -> ssl.SSLContext:
        """What a server of Python's own ssl module needs. Raises CredentialError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert_path, self.key_path, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise CredentialError(
                f"{self.cert_path} and {self.key_path} are no certificate and its key: PEM files "
                "are needed, the key unencrypted and the one that the certificate was made for."
            ) from error
        return context


def read_token(path: Path) -> str:
    """The token that the file holds, without the end of its line. Raises CredentialError."""
    token = _read(path).decode("ascii", "replace").strip()
    if not is_token(token):
        raise CredentialError(
            f"{path} holds no token: {TOKEN_RULE}. To make one: openssl rand -hex 32 > {path}"
        )
    _warn_if_others_read(path)
    return token


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror or error}.") from error


def _warn_if_others_read(path: Path) -> None:
    """No fault: a secret that Kubernetes mounts looks like this, in a container of its own."""
    if path.stat().st_mode & stat.S_IROTH:
        logger.warning("readable_by_all path=%s: chmod 600 keeps it from other users", path)


def _no_password() -> str:
    # Without it OpenSSL would ask at the terminal, and wait.
    raise ValueError("the key is encrypted")
