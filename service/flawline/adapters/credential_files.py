"""The token and the certificate as files on this machine: read once, and refused when they cannot serve."""

from __future__ import annotations

import logging
import ssl
import stat
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from flawline.core.lock import TOKEN_RULE, is_token

logger = logging.getLogger(__name__)

_MOST_BYTES = 1_000_000
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
# Tags of DER (RFC 5280, 4.1).
_VERSION = 0xA0  # may be left out
_UTC_TIME = 0x17
# Of two digits: 50 to 99 are of the last century (RFC 5280, 4.1.2.5.1).
_PIVOT_YEAR = 50


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

    @property
    def expires_unix_s(self) -> float | None:
        """When the certificate ends, in seconds since 1970; None where the file is written in another way than most."""
        try:
            return _expires_unix_s(self.cert_pem)
        except ValueError:
            return None

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


def _expires_unix_s(cert_pem: bytes) -> float:
    """Of the first certificate of a PEM file, which is the server's own. Raises ValueError.

    Python's ssl tells this of a peer's certificate alone.
    """
    start, end = cert_pem.find(_BEGIN), cert_pem.find(_END)
    if not 0 <= start < end:
        raise ValueError("no certificate in PEM form")
    der = ssl.PEM_cert_to_DER_cert(cert_pem[start : end + len(_END)].decode("ascii"))
    _, certificate, _ = _field(der)
    _, fields, _ = _field(certificate)
    tag, _, after_first = _field(fields)
    rest = after_first if tag == _VERSION else fields
    for _ in ("serial number", "signature", "issuer"):
        _, _, rest = _field(rest)
    _, validity, _ = _field(rest)
    _, _, not_after = _field(validity)
    tag, text, _ = _field(not_after)
    return _time(tag, text.decode("ascii"))


def _field(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content, and what follows."""
    if len(der) < 2:
        raise ValueError("the certificate ends too soon")
    size, start = der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    if len(der) < start + size:
        raise ValueError("the certificate ends too soon")
    return der[0], der[start : start + size], der[start + size :]


def _time(tag: int, text: str) -> float:
    """YYMMDDhhmmssZ, or with four digits of the year."""
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _PIVOT_YEAR else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
