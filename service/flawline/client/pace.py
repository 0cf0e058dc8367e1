"""Which frames are worth sending when a camera is faster than its service."""

from __future__ import annotations

import time

_NEW_SHARE = 0.2


class Pace:
    """What is in flight on one connection, at most `window` frames, and how long answers take.

    When frames wait, the oldest have the least time left. Sent in their turn, each would come too
    late by a little, and keep the next one waiting until it comes too late as well. So a frame that
    has less time than answers take at the moment makes room for those that may still be in time.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._sent_s: dict[int, float] = {}
        self._takes_s = 0.0

    @property
    def full(self) -> bool:
        """No more frames may be sent before an answer comes."""
        return len(self._sent_s) >= self._window

    def hopeless(self, remaining_s: float) -> bool:
        """An answer would come too late. Never while little is in flight: that is to be tried."""
        return len(self._sent_s) > self._window // 2 and remaining_s < self._takes_s

    def sent(self, sequence: int) -> None:
        """The frame is on its way."""
        self._sent_s[sequence] = time.monotonic()

    def answered(self, sequence: int, *, evaluated: bool) -> None:
        """Its answer came; one that was not evaluated shows only how long it takes at least."""
        took_s = time.monotonic() - self._sent_s.pop(sequence, time.monotonic())
        if evaluated:
            self._takes_s += _NEW_SHARE * (took_s - self._takes_s)
        else:
            self._takes_s = max(self._takes_s, took_s)
