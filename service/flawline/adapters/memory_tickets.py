"""TicketMemory of a single process: bounded in number and in time."""

from __future__ import annotations

from flawline.application.ports import Clock
from flawline.application.ticket import Pending, TicketState


class MemoryTickets:
    """Keeps the last `most` tickets, each for `life_s` seconds from its last news."""

    def __init__(self, life_s: float, most: int, clock: Clock) -> None:
        self._life_s = life_s
        self._most = most
        self._clock = clock
        self._kept: dict[str, tuple[float, TicketState]] = {}  # the oldest first

    async def expect(self, key: str, pending: Pending) -> None:
        """Note that one runs, unless its answer is there already."""
        self._forget_old()
        if key not in self._kept:
            self._put(key, pending)

    async def keep(self, key: str, state: TicketState) -> None:
        """Keep the answer, in the place of what is noted."""
        self._forget_old()
        self._kept.pop(key, None)
        self._put(key, state)

    async def find(self, key: str) -> TicketState | None:
        """How it stands; None when it is not known, or not any more."""
        self._forget_old()
        found = self._kept.get(key)
        return found[1] if found else None

    def _put(self, key: str, state: TicketState) -> None:
        self._kept[key] = self._clock.monotonic_s() + self._life_s, state
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def _forget_old(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._kept:
            key = next(iter(self._kept))
            if self._kept[key][0] > now_s:
                return
            del self._kept[key]
