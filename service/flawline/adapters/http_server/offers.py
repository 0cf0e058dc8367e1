"""Requests that offer another protocol (`Upgrade: h2c`, as Java's client does of its own accord)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

try:
    from httptools import HttpParserUpgrade
except ImportError:  # uvicorn then parses with h11, which reads such requests as they are

    class HttpParserUpgrade(Exception):  # type: ignore[no-redef]  # noqa: N818 - as in httptools
        """Never raised."""


FRAMING = (b"content-length", b"transfer-encoding")
"""Names of the fields that say how long a body is."""


class DecliningParser:
    """httptools' parser, but that it reads on in HTTP/1.1 whatever a client offers.

    The offer may be ignored (RFC 9110, section 7.8), the body may not: httptools takes it for the
    other protocol, and the picture would be empty. Its parser is told a head once more, with what
    says how long the body is and without the offer. `again`: whether it is that head which is
    parsed now, so that its callbacks are to be ignored. `declined` in `on_message_complete`: it is
    no end, the body comes.
    """

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.again = False
        self.headers: Sequence[tuple[bytes, bytes]] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Parse it. Raises HttpParserError."""
        rest: bytes | None = data
        while rest is not None:
            rest = self._fed(rest)

    @property
    def declined(self) -> bool:
        """Whether this message offers another protocol, and is not told again."""
        return bool(self._parser.should_upgrade())

    def _fed(self, data: bytes) -> bytes | None:
        """What is to be parsed still, once the head was told again."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as offer:
            (end,) = offer.args
            self._tell_again()
            return data[end:]
        return None

    def _tell_again(self) -> None:
        framing = [b"%b: %b" % pair for pair in self.headers if pair[0].lower() in FRAMING]
        self.again = True
        self._parser.feed_data(b"\r\n".join((b"POST / HTTP/1.1", *framing, b"", b"")))
