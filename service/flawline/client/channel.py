"""The connection of the gRPC clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import grpc

from flawline.client.access import (
    system_certificates,
    usable_certificates,
    usable_target,
    usable_token,
)

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    # Else gRPC waits up to two minutes before it tries a service again that was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # The time that one attempt has, too: on a slow way a shorter one would never come to its end.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A service that is gone without a word shows within so many milliseconds.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # As over REST, the environment's proxies are not asked for the way.
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class Way:
    """How to get there. Raises ValueError for a target, a token or a ca_file that cannot be one.

    target: host:port. token: the bearer token. ca_file: certificates to trust, read once; tls: trust
    the system's. Without either the connection is not encrypted.
    """

    target: str
    token: str | None = None
    ca_file: str | Path | None = None
    tls: bool = False
    _roots: bytes | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", usable_target(self.target))
        object.__setattr__(self, "token", usable_token(self.token))
        if self.ca_file:
            usable_certificates(self.ca_file)  # gRPC would take any file, and never get through
            object.__setattr__(self, "_roots", Path(self.ca_file).read_bytes())
        elif self.tls:  # gRPC itself would trust a list that it brings
            object.__setattr__(self, "_roots", system_certificates())

    def channel(self) -> grpc.aio.Channel:
        """A new connection, of the running event loop."""
        if not (self.tls or self.ca_file):
            return grpc.aio.insecure_channel(self.target, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(root_certificates=self._roots)
        return grpc.aio.secure_channel(self.target, credentials, options=_OPTIONS)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()
