"""Whether the service takes work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether new work is taken, and if not why: the words of `flawline.core.errors.NotReady`.

    degraded: what is wrong although work is taken, in the same words.
    """

    ready: bool
    reason: str | None = None
    degraded: str | None = None
