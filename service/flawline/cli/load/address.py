"""Where the service is and how to get in, from what a person types."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flawline.cli.fault import Fault
from flawline.cli.token_file import token_in

_PORTS = {"http": 8080, "https": 8080, "grpc": 8081, "grpcs": 8081}
_SECURE = {"https", "grpcs"}


@dataclass(frozen=True, slots=True)
class Address:
    """scheme: http, https, grpc or grpcs. ca_file: certificates to trust instead of the system's."""

    scheme: str
    host: str
    port: int
    token: str | None = None
    ca_file: Path | None = None

    @classmethod
    def of(cls, url: str, token_file: Path | None = None, ca_file: Path | None = None) -> Address:
        """Raises Fault for what is no address of a service, or a file that cannot be read."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise Fault(f"{url!r} is no address: {error}.") from error
        try:
            port = parts.port
        except ValueError as error:
            raise Fault(f"The port in {url!r} is none: {error}.") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Fault(
                f"{url!r} is no address of a Flawline: write http://HOST:8080 for REST or "
                "grpc://HOST:8081 for gRPC (https:// and grpcs:// with TLS)."
            )
        if parts.username is not None or parts.password is not None:
            raise Fault(
                f"Leave what stands before the @ out of the address of {parts.hostname}: who asks is known by his "
                "token, which --token-file gives."
            )
        if port == 0:
            raise Fault(f"Nothing listens on port 0: name the port of {parts.hostname}.")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise Fault(
                f"{url!r} has more than host and port; paths are known: write "
                f"{parts.scheme}://{parts.netloc}."
            )
        if ca_file is not None and parts.scheme not in _SECURE:
            ca_file = None
        token = None if token_file is None else token_in(token_file)
        port = port or _PORTS[parts.scheme]
        address = cls(parts.scheme, parts.hostname, port, token, ca_file)
        address.trust()
        return address

    @property
    def over_grpc(self) -> bool:
        """Whether it speaks gRPC; else REST."""
        return self.scheme.startswith("grpc")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in _SECURE

    @property
    def target(self) -> str:
        """host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.target}"

    def trust(self) -> ssl.SSLContext | None:
        """What a TLS connection is checked with; None without TLS. Raises Fault."""
        if not self.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Fault(f"The certificates in {self.ca_file} cannot be read: {error}.") from error
