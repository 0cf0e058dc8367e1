"""Jobs that failed or killed their workers, kept for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from flawline.adapters.redis_queue.connection import RedisError, Server
from flawline.adapters.redis_queue.keys import Keys
from flawline.adapters.redis_queue.wire import STRANGE, meta_from

# Of one look at the list: the server serves nobody else meanwhile. Twice as many took it 18 to 55 ms.
_ENOUGH_BYTES = 8_000_000
_ENOUGH_LETTERS = 100
_BEFORE_ALL = "0-0"
_UNKNOWN: dict[str, Any] = {"recipe": "?", "min_score": None, "part_id": None}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One job and why it was given up. `letter_id` names it; `picture` holds the bytes received."""

    letter_id: str
    job_id: str
    line: str
    part_id: str | None
    recipe: str
    min_score: float | None
    reason: str
    deliveries: int
    buried_at: datetime
    picture: bytes


class DeadLetters:
    """The dead letters of one queue. All raise RedisError when the server is away."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._key = keys.dead

    async def all(self, after: str = _BEFORE_ALL) -> list[DeadLetter]:
        """The oldest first, from the one that follows the letter `after`; without their pictures."""
        letters: list[DeadLetter] = []
        while page := await self._server.run("letters", after, _ENOUGH_BYTES, _ENOUGH_LETTERS):
            for entry_id, flat in page:
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
                letters.append(_letter(entry_id, fields))
            after = letters[-1].letter_id
        return letters

    async def find(self, letter_id: str) -> DeadLetter | None:
        """None when there is no such one."""
        try:
            entries = await self._server.commands.xrange(self._key, letter_id, letter_id)
        except RedisError as error:
            _require_no_such_id(error)
            return None
        return next((_letter(entry_id, fields) for entry_id, fields in entries or ()), None)

    async def drop(self, letter_id: str) -> bool:
        """Forget it, without a look at its picture; False when there is no such one."""
        try:
            return bool(await self._server.commands.xdel(self._key, letter_id))
        except RedisError as error:
            _require_no_such_id(error)
            return False


def _require_no_such_id(error: RedisError) -> None:
    """Raise it again, unless it says that what was asked for is no id at all."""
    if "Invalid stream ID" not in str(error):
        raise error


def _letter(entry_id: Any, fields: Any) -> DeadLetter:
    try:
        meta = meta_from(fields[b"meta"])
    except STRANGE:  # written by another version, say; it can be looked at and dropped all the same
        meta = _UNKNOWN
    return DeadLetter(
        letter_id=entry_id.decode(),
        job_id=fields[b"id"].decode(),
        line=fields[b"line"].decode(),
        part_id=meta["part_id"],
        recipe=meta["recipe"],
        min_score=meta["min_score"],
        reason=fields[b"reason"].decode(),
        deliveries=int(fields[b"deliveries"]),
        buried_at=datetime.fromtimestamp(int(fields[b"buried_ms"]) / 1000, timezone.utc),
        picture=fields.get(b"picture", b""),
    )
