"""Inspections whose callers do not wait, but come back with a ticket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.failures import new_error_id
from flawline.application.ports import Clock, TicketMemory
from flawline.application.ticket import (
    Answer,
    Finished,
    Pending,
    Refused,
    TicketState,
    Unanswered,
)
from flawline.core.errors import BadPicture, InspectionError, InvalidRequest

logger = logging.getLogger(__name__)

# Until a result has surely come from one process to another, clocks that differ a little included.
_GRACE = timedelta(seconds=5)
_LOST = Unanswered("stopped", "The service stopped before the picture was evaluated.")

Ask = Callable[[Callable[[float], None]], Awaitable[Answer]]


class Tickets:
    """Sees inspections through, and keeps their answers for as long as its memories do.

    memories: the nearest first; an answer is kept in each. A ticket is its caller's: with another
    name it is not found.
    """

    def __init__(self, memories: Sequence[TicketMemory], clock: Clock) -> None:
        self._memories = tuple(memories)
        self._clock = clock
        self._running: dict[str, tuple[asyncio.Task[TicketState], Pending]] = {}

    async def begin(
        self, ticket_id: str, caller: str, ask: Ask, done: Callable[[], None] = lambda: None
    ) -> None:
        """Return once the inspection was accepted; it then goes on by itself.

        ask: inspects, and tells its argument the deadline (monotonic) once it is accepted. done: is
        called when it has ended. Raises what InspectionError it is refused with.
        """
        key = _key(ticket_id, caller)
        accepted: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def tell(deadline_s: float) -> None:
            if not accepted.done():
                accepted.set_result(deadline_s)

        asking = asyncio.ensure_future(ask(tell))
        asking.add_done_callback(lambda _: done())
        try:
            either: set[asyncio.Future[Any]] = {asking, accepted}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        try:
            if not accepted.done():
                asking.result()  # a refusal is the caller's to hear at once
            pending = self._pending(accepted.result() if accepted.done() else 0.0)
            task = asyncio.create_task(self._see_through(key, asking))
        finally:
            del asking, either  # as in `within`
        self._running[key] = task, pending
        task.add_done_callback(lambda _: self._running.pop(key, None))
        for memory in self._memories:
            await memory.expect(key, pending)

    async def find(self, ticket_id: str, caller: str, wait_s: float = 0.0) -> TicketState | None:
        """How it stands; None when it is not known, or not any more.

        wait_s: wait so long for one that runs here. Raises NotReady when a memory is away.
        """
        key = _key(ticket_id, caller)
        if (running := self._running.get(key)) is not None:
            return await self._joined(*running, wait_s)
        for memory in self._memories:
            state = await memory.find(key)
            if isinstance(state, Pending) and self._clock.utc_now() > state.until + _GRACE:
                return _LOST
            if state is not None:
                return state
        return None

    async def settle(self, limit_s: float) -> None:
        """Wait until all that ended is kept; what has not ended after `limit_s` is withdrawn."""
        tasks = [task for task, _ in self._running.values()]
        if not tasks:
            return
        try:
            await within(self._clock, self._clock.monotonic_s() + limit_s, _all(tasks))
        except DeadlinePassed:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _joined(
        self, task: asyncio.Task[TicketState], pending: Pending, wait_s: float
    ) -> TicketState:
        if wait_s <= 0:
            return pending
        try:
            moment_s = self._clock.monotonic_s() + wait_s
            return await within(self._clock, moment_s, _shielded(task))
        except DeadlinePassed:
            return pending

    def _pending(self, deadline_s: float) -> Pending:
        remaining_s = max(0.0, deadline_s - self._clock.monotonic_s())
        return Pending(self._clock.utc_now() + timedelta(seconds=remaining_s))

    async def _see_through(self, key: str, asking: Awaitable[Answer]) -> TicketState:
        state = await _outcome_of(asking)
        for memory in self._memories:
            await memory.keep(key, state)
        return state


async def _outcome_of(asking: Awaitable[Answer]) -> TicketState:
    try:
        return Finished(await asking)
    except BadPicture as error:
        return Refused(error.code, str(error), error.field)
    except InvalidRequest as error:
        return Refused(error.code, str(error), error.field)
    except InspectionError as error:
        return Unanswered(error.code, str(error))
    except Exception:
        error_id = new_error_id()
        logger.exception("inspection_failed error_id=%s", error_id)
        return Unanswered("processing_failed", f"Processing failed; error id {error_id}.")


def _key(ticket_id: str, caller: str) -> str:
    return json.dumps([caller, ticket_id])


async def _shielded(task: asyncio.Task[TicketState]) -> TicketState:
    return await asyncio.shield(task)


async def _all(tasks: Sequence[asyncio.Task[TicketState]]) -> None:
    await asyncio.wait(tasks)
