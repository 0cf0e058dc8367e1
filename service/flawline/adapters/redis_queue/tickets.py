"""TicketMemory that all apis of a queue share: any of them can tell how an inspection stands."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from flawline.adapters.redis_queue.connection import RedisError, Server, lost
from flawline.adapters.redis_queue.keys import Keys
from flawline.adapters.redis_queue.wire import STRANGE, inspection_from, tagged
from flawline.application.ticket import Finished, Pending, Refused, TicketState, Unanswered
from flawline.core.errors import NotReady
from flawline.core.values import Inspection, PartInspection, Verdict

logger = logging.getLogger(__name__)

_OUTAGE_RETRY_S = 2.0


class RedisTickets:
    """Keeps each ticket for `life_s` seconds. While the server is away nothing is kept.

    Moments lie there as the server's clock has them, since those of two apis may differ.
    """

    def __init__(self, server: Server, keys: Keys, life_s: float) -> None:
        self._server = server
        self._keys = keys
        self._life_ms = round(life_s * 1000)

    async def expect(self, key: str, pending: Pending) -> None:
        """Note that one runs, unless its answer is there already."""
        there = Pending(pending.until + self._server.link.ahead)
        await self._set(key, there, only_new=True)

    async def keep(self, key: str, state: TicketState) -> None:
        """Keep the answer, in the place of what is noted."""
        await self._set(key, state, only_new=False)

    async def find(self, key: str) -> TicketState | None:
        """How it stands; None when it is not known. Raises NotReady while the server is away."""
        try:
            text = await self._server.asked.get(self._keys.ticket(key))
        except RedisError as error:
            raise NotReady("queue_unavailable", _OUTAGE_RETRY_S) from error
        state = _state_from_wire(text)
        return (
            Pending(state.until - self._server.link.ahead) if isinstance(state, Pending) else state
        )

    async def _set(self, key: str, state: TicketState, *, only_new: bool) -> None:
        name, text = self._keys.ticket(key), _state_to_wire(state)
        try:
            await self._server.asked.set(name, text, px=self._life_ms, nx=only_new)
        except RedisError as error:
            lost("ticket_not_kept", error)


def _state_to_wire(state: TicketState) -> str:
    kind = type(state).__name__.lower()
    if isinstance(state, Finished):
        kind = "one" if isinstance(state.answer, Inspection) else "part"
        return tagged(kind, state.answer)
    return tagged(kind, state)


def _state_from_wire(text: Any) -> TicketState | None:
    """None where there is none, or one of another version that is not understood."""
    if not text:
        return None
    try:
        return _state_from(json.loads(text))
    except STRANGE as error:
        logger.warning("ticket_not_understood error=%r", error)
        return None


def _state_from(fields: dict[str, Any]) -> TicketState:
    kind = fields.pop("kind")
    if kind == "pending":
        return Pending(datetime.fromisoformat(fields["until"]))
    if kind == "one":
        return Finished(inspection_from(fields))
    if kind == "part":
        frames = tuple(map(inspection_from, fields["frames"]))
        return Finished(PartInspection(fields["inspection_id"], Verdict(fields["verdict"]), frames))
    return Refused(**fields) if kind == "refused" else Unanswered(**fields)
