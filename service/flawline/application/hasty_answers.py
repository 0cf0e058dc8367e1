"""Shared answers under keys that cost no caller his verdict, where this process can inspect by itself."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from flawline.application.answer import KeptAnswer
from flawline.application.deadline import DeadlinePassed, within
from flawline.application.ports import AnswerMemory, Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")


class HastyAnswers:
    """AnswerMemory over another, which is done without once it does not answer within `patience_s`.

    A memory that hangs is known to be away only a while later, and each caller with a key would have
    spent his deadline on it until then. It is not asked again for `pause_s`. Meanwhile a repeat may
    be inspected twice: a verdict goes before that here.
    """

    def __init__(
        self, memory: AnswerMemory, clock: Clock, *, patience_s: float, pause_s: float
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._asks_from_s = clock.monotonic_s()

    async def claim(self, key: str, life_s: float) -> bool:
        """Whether the answer is ours to give now; so it is while the memory hangs."""
        return True if self._hangs else await self._soon(self._memory.claim(key, life_s), True)

    async def hold(self, key: str, life_s: float) -> None:
        """Nobody waits for it."""
        await self._memory.hold(key, life_s)

    async def release(self, key: str) -> None:
        """Nobody waits for it."""
        await self._memory.release(key)

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one and the memory says so in time."""
        return None if self._hangs else await self._soon(self._memory.find(key), None)

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; it counts here if the memory does not say in time."""
        return answer if self._hangs else await self._soon(self._memory.keep(key, answer), answer)

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep these no longer."""
        await self._memory.forget(keys)

    async def identity(self) -> str:
        """A name that is another one once what was kept is lost."""
        return await self._memory.identity()

    @property
    def _hangs(self) -> bool:
        return self._clock.monotonic_s() < self._asks_from_s

    async def _soon(self, question: Coroutine[Any, Any, T], otherwise: T) -> T:
        asked_s = self._clock.monotonic_s()
        try:
            return await within(self._clock, asked_s + self._patience_s, question)
        except DeadlinePassed:
            if not self._hangs:
                logger.warning("answers_done_without patience_s=%g", self._patience_s)
            self._asks_from_s = self._clock.monotonic_s() + self._pause_s
            return otherwise
