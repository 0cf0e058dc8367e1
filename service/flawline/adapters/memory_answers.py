"""AnswerMemory of a single process: bounded in number and in time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from flawline.application.answer import KeptAnswer
from flawline.application.ports import Clock

_MOST_ANSWERS = 10_000


class MemoryAnswers:
    """Keeps the last so many answers, each for `life_s` seconds."""

    def __init__(self, life_s: float, clock: Clock, most: int = _MOST_ANSWERS) -> None:
        self._life_s = life_s
        self._clock = clock
        self._most = most
        self._identity = uuid.uuid4().hex
        self._claimed_until_s: dict[str, float] = {}
        self._kept: dict[str, tuple[float, KeptAnswer]] = {}  # the oldest first

    async def claim(self, key: str, life_s: float) -> bool:
        """Whether the answer is the caller's to give now."""
        self._forget_old()
        if key in self._claimed_until_s:
            return False
        self._claimed_until_s[key] = self._clock.monotonic_s() + life_s
        return True

    async def hold(self, key: str, life_s: float) -> None:
        """Make a claim last."""
        if (until_s := self._claimed_until_s.get(key)) is not None:
            self._claimed_until_s[key] = max(until_s, self._clock.monotonic_s() + life_s)

    async def release(self, key: str) -> None:
        """End a claim."""
        self._claimed_until_s.pop(key, None)

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one."""
        self._forget_old()
        found = self._kept.get(key)
        return found[1] if found else None

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; returns the one that is kept."""
        self._forget_old()
        ends_s = self._clock.monotonic_s() + self._life_s
        kept = self._kept.setdefault(key, (ends_s, answer))[1]
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return kept

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep these no longer."""
        for key in keys:
            self._kept.pop(key, None)

    async def identity(self) -> str:
        """Another one in each process: what is kept ends with it."""
        return self._identity

    def _forget_old(self) -> None:
        now_s = self._clock.monotonic_s()
        for key in [key for key, until_s in self._claimed_until_s.items() if until_s <= now_s]:
            del self._claimed_until_s[key]
        while self._kept:
            key = next(iter(self._kept))
            if self._kept[key][0] > now_s:
                return
            del self._kept[key]
