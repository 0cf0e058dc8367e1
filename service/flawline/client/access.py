"""What a client is made with, checked at once: a mistake in it would look like a service that is away."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

# A day; with 1e12 s a call over gRPC hangs.
_LONGEST_DEADLINE_S = 86_400.0
_PORTS = 1 << 16


def usable_token(token: str | None) -> str | None:
    """The token without the end of its file's line; None for none. Raises ValueError, which does not show it."""
    if not token:
        return None
    stripped = token.strip()
    if not stripped or not all("!" <= character <= "~" for character in stripped):
        raise ValueError(
            "The token is none: it must be visible ASCII characters without spaces. Give what stands in "
            "the service's token file."
        )
    return stripped


def usable_url(url: str) -> str:
    """The URL without the end of its file's line.

    Raises ValueError where it names no service, or a user, whose password it does not show.
    """
    url = url.strip()
    named = False
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and url.isprintable() and not set(" ?#") & set(url)
        named = "@" in parts.netloc
    except ValueError:  # no port that there is, or brackets that do not match
        usable = False
    if named:  # sent as Basic, it would take the place of the token
        raise ValueError(
            "Leave what stands before the @ out of the url: the service knows who asks by the token alone."
        )
    if not usable:
        raise ValueError(
            "The url must begin with http:// or https:// and name a host, such as http://localhost:8080, "
            "without spaces, a query or a #."
        )
    return url


def usable_target(target: str) -> str:
    """The gRPC target without the end of its file's line. Raises ValueError for a URL, and for none."""
    target = target.strip()
    port = target.rpartition(":")[2]
    # "" of a target that ends with a colon, or is empty; a name without a port is one that a resolver knows.
    no_port = port == "" or (port.isdecimal() and not 0 < int(port) < _PORTS)
    if no_port or target.startswith(("http://", "https://", "grpc://", "grpcs://")):
        raise ValueError(
            "The target of gRPC is host:port, such as localhost:8081, without http:// or grpc://."
        )
    return target


def usable_certificates(ca_file: str | Path | None, url: str = "https://") -> ssl.SSLContext:
    """What trusts the certificates of that file alone; without one, the system's. `url`: where it is to be used.

    Raises ValueError where it has none, or cannot be read.
    """
    # Or token and pictures would go unencrypted, without a word.
    if ca_file and not url.lower().startswith("https://"):
        raise ValueError(
            "A ca_file is of no use with a url that begins with http://: give https://."
        )
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The ca_file {ca_file} cannot be used: {error}. Give a file with certificates in PEM form."
        ) from error


def system_certificates() -> bytes | None:
    """Those that the system trusts, PEM; None where they are in no one file, or gRPC was told where its own are."""
    if os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
        return None
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None


def usable_stream_id(stream_id: str) -> str:
    """The id as given. Raises ValueError where it cannot be sent."""
    try:
        stream_id.encode()
    except UnicodeEncodeError:  # of a file name in Latin-1, say
        raise ValueError(
            f"stream_id must be text that can be sent as UTF-8, such as a UUID, not {stream_id!a}."
        ) from None
    return stream_id


def usable_deadline(deadline_s: float) -> float:
    """The deadline as given. Raises ValueError where it is no time in which an answer could come."""
    if not 0 < deadline_s <= _LONGEST_DEADLINE_S:
        raise ValueError(
            f"deadline_s must be a number of seconds above 0 and at most {_LONGEST_DEADLINE_S:g}, such as 5.0, "
            f"not {deadline_s}."
        )
    return deadline_s


def usable_most_unanswered(most: int) -> int:
    """The number of frames as given. Raises ValueError where none could ever be sent."""
    if most < 1:
        raise ValueError(
            f"most_unanswered must be a number of frames, at least 1, such as 1024, not {most}."
        )
    return most
