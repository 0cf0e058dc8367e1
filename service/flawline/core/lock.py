"""Who may come in, and by which name the rest of the service knows him: one rule for all protocols."""

from __future__ import annotations

import hashlib
import hmac
import re

from flawline.core.errors import Unauthenticated

TOKEN_RULE = "at least 16 letters, digits or '-._~+/' on one line, '=' at the end"  # noqa: S105 - a rule, no token
# b64token of RFC 6750, section 2.1: what may stand in an Authorization header.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,1024}=*")
_NAME_CHARACTERS = 16


def is_token(text: str) -> bool:
    """Whether it can serve as a bearer token; TOKEN_RULE says it in words."""
    return _TOKEN.fullmatch(text) is not None


class Lock:
    """One bearer token (RFC 6750) before every door; without a token all may enter.

    The token itself is not kept, so that nothing can show it.
    """

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)
        # Of a digest of its own: what names a caller in keys and logs is not what opens the door.
        self._caller = "" if token is None else _digest(f"caller/{token}").hex()[:_NAME_CHARACTERS]

    @property
    def closed(self) -> bool:
        """Whether a token is asked for."""
        return self._digest is not None

    def caller_of(self, authorization: str | None) -> str:
        """The name of him who sent this `Authorization` value, a short hash; "" without a lock.

        Raises Unauthenticated. Compares in constant time.
        """
        if self._digest is None:
            return self._caller
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(token_given=False)
        if not hmac.compare_digest(_digest(token.strip()), self._digest):
            raise Unauthenticated(token_given=True)
        return self._caller


def _digest(text: str) -> bytes:
    # surrogateescape: a header may hold any bytes, and none of them may end in an exception here
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
