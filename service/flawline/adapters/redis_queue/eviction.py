"""Whether the server may throw away what it was given, which no queue survives."""

from __future__ import annotations

import logging
from contextlib import suppress

from flawline.adapters.redis_queue.connection import ResponseError, Server

logger = logging.getLogger(__name__)

_LOOK_EVERY = 60
_SAFE = "noeviction"


class Eviction:
    """Looked at now and then, for a setting may change; a change is logged once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._looks = 0
        self._policy = _SAFE

    async def look(self) -> None:
        """At the first call, and each so many. Raises RedisError."""
        self._looks += 1
        if self._looks % _LOOK_EVERY != 1:
            return
        # A user of the server may be kept from asking, and others do the same without it.
        with suppress(ResponseError):
            self._note(await self._server.commands.info("memory"))

    def _note(self, memory: dict[str, object]) -> None:
        # Without a limit nothing is thrown away, whatever the policy.
        policy = str(memory.get("maxmemory_policy", _SAFE)) if memory.get("maxmemory") else _SAFE
        if policy == self._policy:
            return
        self._policy = policy
        if policy == _SAFE:
            logger.warning("redis_evicts_no_more")
            return
        logger.warning(
            "redis_evicts policy=%s: once its memory is full, Redis throws accepted pictures and answers away, without "
            "a word; set maxmemory-policy to %s",
            policy,
            _SAFE,
        )
