"""AnswerMemory that all apis of a queue share."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from typing import Any

from flawline.adapters.redis_queue.connection import RedisError, Server, lost
from flawline.adapters.redis_queue.keys import Keys
from flawline.adapters.redis_queue.wire import STRANGE, inspection_from, inspection_to_json
from flawline.application.answer import KeptAnswer

logger = logging.getLogger(__name__)


class RedisAnswers:
    """Keeps each answer for `life_s` seconds. While the server is away nothing is found or kept."""

    def __init__(self, server: Server, keys: Keys, life_s: float) -> None:
        self._server = server
        self._keys = keys
        self._life_ms = round(life_s * 1000)
        self._name = uuid.uuid4().hex

    async def claim(self, key: str, life_s: float) -> bool:
        """Whether the answer is ours to give now; while the server is away it is."""
        try:
            claimed = await self._server.asked.set(
                self._keys.claim(key), self._name, px=max(1, round(life_s * 1000)), nx=True
            )
        except RedisError as error:
            lost("answer_not_claimed", error)
            return True
        return bool(claimed)

    async def hold(self, key: str, life_s: float) -> None:
        """Make our claim last, and never that of another."""
        life_ms = max(1, round(life_s * 1000))
        try:
            await self._server.ask("hold_claim", self._keys.claim(key), self._name, life_ms)
        except RedisError as error:
            lost("answer_not_held", error)

    async def release(self, key: str) -> None:
        """End our claim, and never that of another, who may have it once ours ran out."""
        try:
            await self._server.ask("release_claim", self._keys.claim(key), self._name)
        except RedisError as error:
            lost("answer_not_released", error)

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one."""
        try:
            text = await self._server.asked.get(self._keys.answer(key))
        except RedisError as error:
            lost("answer_not_looked_up", error)
            return None
        return _answer_from_wire(text)

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; returns the one that is kept."""
        name = self._keys.answer(key)
        text = _answer_to_wire(answer)
        try:
            # One command: set it if it is missing, and say what was there before.
            before = await self._server.asked.set(name, text, px=self._life_ms, nx=True, get=True)
        except RedisError as error:
            lost("answer_not_kept", error)
            return answer
        return _answer_from_wire(before) or answer

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep these no longer. While the server is away they go with time."""
        if not keys:
            return
        try:
            await self._server.asked.unlink(*map(self._keys.answer, keys))
        except RedisError as error:
            lost("answers_not_forgotten", error)

    async def identity(self) -> str:
        """The same while the server keeps its data; another one each time while it is away."""
        mine = uuid.uuid4().hex
        try:
            before: Any = await self._server.asked.set(
                self._keys.memory_id, mine, nx=True, get=True
            )
        except RedisError as error:
            lost("answers_not_named", error)
            return mine
        return before.decode() if before else mine


def _answer_to_wire(answer: KeptAnswer) -> str:
    fingerprint, inspection = json.dumps(answer.fingerprint), inspection_to_json(answer.inspection)
    return f'{{"fingerprint": {fingerprint}, "inspection": {inspection}}}'


def _answer_from_wire(text: Any) -> KeptAnswer | None:
    """None where there is none, or one of another version that is not understood: it is given anew then."""
    if not text:
        return None
    try:
        answer = json.loads(text)
        return KeptAnswer(answer["fingerprint"], inspection_from(answer["inspection"]))
    except STRANGE as error:
        logger.warning("answer_not_understood error=%r", error)
        return None
