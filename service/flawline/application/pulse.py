"""Whether an event loop still turns, as another thread can see it."""

from __future__ import annotations

from flawline.application.ports import Clock


class Pulse:
    """The loop calls `beat` now and then; `beats` is False when the last one is too long ago.

    limit_s: longer than the loop may ever be held up.
    """

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._last_s = clock.monotonic_s()

    def beat(self) -> None:
        """The loop turns."""
        self._last_s = self._clock.monotonic_s()

    def beats(self) -> bool:
        """From any thread: whether it turned within the limit."""
        return self._clock.monotonic_s() - self._last_s <= self._limit_s
