"""What a client is made with, checked at once: a mistake in it would look like a service that is away."""

from __future__ import annotations

from urllib.parse import urlsplit


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
    """The URL as given. Raises ValueError where it names no service."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            "The url must begin with http:// or https:// and name a host, such as http://localhost:8080."
        )
    return url


def usable_target(target: str) -> str:
    """The gRPC target as given. Raises ValueError for a URL."""
    if target.startswith(("http://", "https://")):
        raise ValueError(
            "The target of gRPC is host:port, such as localhost:8081, without http:// or https://."
        )
    return target
