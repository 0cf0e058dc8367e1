"""Who may come in, and how the way there is kept private: from settings, for every server."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from flawline.adapters.credential_files import CredentialError, TlsFiles, read_token
from flawline.adapters.prometheus import show_certificate
from flawline.bootstrap.starting import StartupError
from flawline.core.lock import Lock
from flawline.settings import FlawlineSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """The lock, and the certificate if there is one; the files were read and hold good."""

    lock: Lock
    _tls: TlsFiles | None

    @classmethod
    def of(cls, settings: FlawlineSettings) -> Door:
        """Read the files, once: a new token or certificate needs a restart. Raises StartupError."""
        token, tls = None, None
        try:
            if settings.token_file is not None:
                token = read_token(settings.token_file)
            if settings.tls_cert_file is not None and settings.tls_key_file is not None:
                tls = TlsFiles.read(settings.tls_cert_file, settings.tls_key_file)
        except CredentialError as error:
            raise StartupError(str(error)) from error
        if token is not None and tls is None and not settings.on_loopback:
            logger.warning(
                "token_unprotected host=%s: without TLS whoever listens on the way learns the token; "
                "set FLAWLINE_TLS_CERT_FILE, or let a proxy speak TLS",
                settings.host,
            )
        return cls(Lock(token), tls)

    @property
    def cert_and_key_paths(self) -> tuple[Path, Path] | None:
        """As an HTTP server wants them."""
        return None if self._tls is None else (self._tls.cert_path, self._tls.key_path)

    @property
    def key_and_cert_pem(self) -> tuple[bytes, bytes] | None:
        """As gRPC wants them."""
        return None if self._tls is None else (self._tls.key_pem, self._tls.cert_pem)

    def context(self) -> ssl.SSLContext | None:
        """As Python's own servers want them."""
        return None if self._tls is None else self._tls.context()

    def show_certificate(self, registry: CollectorRegistry) -> None:
        """Until when it holds, where there is one: the alert that follows it comes before callers refuse it."""
        expires_unix_s = None if self._tls is None else self._tls.expires_unix_s
        if expires_unix_s is not None:
            show_certificate(registry, expires_unix_s)
