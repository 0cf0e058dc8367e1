"""Pictures too large for their entries, each under a key of its own."""

from __future__ import annotations

from typing import Any

from flawline.adapters.redis_queue.connection import OutOfMemoryError, RedisError, Server
from flawline.adapters.redis_queue.keys import Keys

_PIECE_BYTES = 1 << 20


class LargePictures:
    """They travel in pieces, each of which has the time of a command: links may be slow. All raise RedisError."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server, self._commands = server, server.commands
        self._key = keys.picture

    async def put(self, job_id: str, picture: bytes, life_ms: int) -> None:
        """Keep it for so long; nothing is left where there is no memory for all of it."""
        key, length = self._key(job_id), _PIECE_BYTES
        await self._commands.set(key, picture[:_PIECE_BYTES], px=life_ms)
        try:
            for start in range(_PIECE_BYTES, len(picture), _PIECE_BYTES):
                piece = picture[start : start + _PIECE_BYTES]
                length = await self._server.run("piece", job_id, piece)
        except OutOfMemoryError:
            await self.drop(job_id)
            raise
        if len(picture) > _PIECE_BYTES and length != len(picture):
            # The server lost a part, or a connection that broke made one come twice.
            await self.drop(job_id)
            raise RedisError("a picture did not arrive as it was sent")

    async def get(self, job_id: str) -> bytes:
        """Empty when it is gone."""
        key, pieces = self._key(job_id), list[Any]()
        while not pieces or len(pieces[-1]) == _PIECE_BYTES:
            start = len(pieces) * _PIECE_BYTES
            pieces.append(await self._commands.getrange(key, start, start + _PIECE_BYTES - 1))
        return b"".join(pieces)

    async def drop(self, job_id: str) -> None:
        """Forget it."""
        await self._commands.unlink(self._key(job_id))
