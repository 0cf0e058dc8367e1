"""What a caller would rather have, from its `Prefer` headers (RFC 7240)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

APPLIED = "respond-async"


@dataclass(frozen=True, slots=True)
class Preferences:
    """respond_async: do not keep the caller waiting. wait_s: but for so long, should it suffice."""

    respond_async: bool = False
    wait_s: int = 0

    @classmethod
    def of(cls, headers: Iterable[str]) -> Preferences:
        """Names are case-insensitive and the first of a name counts; what is not known is ignored."""
        wishes: dict[str, str] = {}
        for wish in ",".join(headers).split(","):
            name, _, value = wish.split(";")[0].partition("=")
            wishes.setdefault(name.strip().lower(), value.strip().strip('"'))
        wait = wishes.get("wait", "")
        usable = wait.isascii() and wait.isdecimal() and len(wait) < _MOST_DIGITS
        return cls("respond-async" in wishes, int(wait) if usable else 0)


_MOST_DIGITS = 7
