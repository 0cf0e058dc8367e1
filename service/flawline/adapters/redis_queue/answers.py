"""AnswerMemory that all apis of a queue share."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flawline.adapters.redis_queue.connection import RedisError, Server
from flawline.adapters.redis_queue.keys import Keys
from flawline.adapters.redis_queue.wire import detections_from, reasons_from
from flawline.application.answer import KeptAnswer
from flawline.core.values import (
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    RecipeRef,
    Verdict,
)

logger = logging.getLogger(__name__)


class RedisAnswers:
    """Keeps each answer for `life_s` seconds. While the server is away nothing is found or kept."""

    def __init__(self, server: Server, keys: Keys, life_s: float) -> None:
        self._server = server
        self._keys = keys
        self._life_ms = round(life_s * 1000)

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one."""
        try:
            text = await self._server.commands.get(self._keys.answer(key))
        except RedisError as error:
            logger.warning("answer_not_looked_up error=%s", error)
            return None
        return _answer_from_wire(text) if text else None

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; returns the one that is kept."""
        name = self._keys.answer(key)
        text = json.dumps(asdict(answer), default=datetime.isoformat)
        try:
            # One command: set it if it is missing, and say what was there before.
            before = await self._server.commands.set(
                name, text, px=self._life_ms, nx=True, get=True
            )
        except RedisError as error:
            logger.warning("answer_not_kept error=%s", error)
            return answer
        return _answer_from_wire(before) if before else answer


def _answer_from_wire(text: Any) -> KeptAnswer:
    answer = json.loads(text)
    fields = answer["inspection"]
    inspection = Inspection(
        inspection_id=fields["inspection_id"],
        verdict=Verdict(fields["verdict"]),
        reasons=reasons_from(fields["reasons"]),
        detections=detections_from(fields["detections"]),
        frame=FrameInfo(**fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=RecipeRef(**fields["recipe"]),
        model=ModelRef(**fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        processing_times=ProcessingTimes(**fields["processing_times"]),
    )
    return KeptAnswer(answer["fingerprint"], inspection)
