"""A camera's frames that have no answer yet. What comes from outside meets its frame here, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from flawline.client.answers import Inspection, Verdict, undefined
from flawline.client.attempts import Failure
from flawline.client.errors import RefusedError
from flawline.client.frame import Frame


@dataclass(slots=True)
class Figures:
    """How many frames were handed over, and what became of them.

    sent = answered + refused + those that wait; a frame that its caller gave up while no connection had it counts
    nowhere. undefined: of those answered. resent: sent again on another connection. maybe_inspected_twice: of those,
    sent again to a service that had forgotten what it had inspected before (restarted, say). late: answers that came
    after the deadline, and were dropped. connections: how many streams were opened.
    """

    sent: int = 0
    answered: int = 0
    undefined: int = 0
    refused: int = 0
    resent: int = 0
    maybe_inspected_twice: int = 0
    late: int = 0
    connections: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """A frame that waits for its answer until `ends_s` (monotonic).

    memory_id: of the service that it was sent to last, None as long as it was not sent.
    """

    sequence: int
    frame: Frame
    ends_s: float
    answer: asyncio.Future[Inspection]
    expiry: asyncio.TimerHandle
    memory_id: str | None = None
    maybe_twice: bool = False


class Ledger:
    """Numbers frames from 1 on. deadline_s: of each frame. most: how many may wait at a time.

    `news` is set when a frame was entered, or an answer came. `failure`: why there is no connection, None while there
    is one, or no try has ended.
    """

    def __init__(self, deadline_s: float, most: int) -> None:
        self.figures = Figures()
        self._deadline_s = deadline_s
        self._most = most
        self._last = 0
        self._entries: dict[int, Entry] = {}
        self._refused: RefusedError | None = None
        self._room = asyncio.Semaphore(most)
        self._before_the_door = 0
        self._left = asyncio.Event()
        self.news = asyncio.Event()
        self.failure: Failure | None = None

    @property
    def acknowledged(self) -> int:
        """All frames up to this number have their answers."""
        return next(iter(self._entries), self._last + 1) - 1

    async def enter(self, frame: Frame) -> asyncio.Future[Inspection]:
        """Give the frame a number, once there is room. Raises RefusedError if all is refused."""
        loop = asyncio.get_running_loop()
        ends_s = time.monotonic() + self._deadline_s
        answer: asyncio.Future[Inspection] = loop.create_future()
        self.figures.sent += 1
        try:
            await self._enter_room()
        except asyncio.TimeoutError:
            detail = f"{self._most} frames waited for their answers; this one was never sent."
            self._settle(answer, undefined(frame, "too_many_unanswered", detail))
            return answer
        except asyncio.CancelledError:  # its caller gave it up: it was never handed over
            self.figures.sent -= 1
            raise
        if self._refused is not None:
            self._room.release()
            self.figures.refused += 1
            raise self._refused
        self._last += 1
        answer.add_done_callback(partial(self._maybe_given_up, self._last))
        expiry = loop.call_at(
            loop.time() + max(0.0, ends_s - time.monotonic()), self._expire, self._last
        )
        self._entries[self._last] = Entry(self._last, frame, ends_s, answer, expiry)
        self.news.set()
        return answer

    def after(self, sequence: int) -> Iterator[Entry]:
        """The frames with greater numbers, in their order."""
        return (entry for number, entry in self._entries.items() if number > sequence)

    async def until_all_answered(self) -> None:
        """Wait until no frame waits, for its answer or for room."""
        while self._entries or self._before_the_door:
            self._left.clear()
            await self._left.wait()

    def answer(self, sequence: int, outcome: Inspection | RefusedError) -> None:
        """The answer to that frame; one that comes too late is dropped."""
        self.news.set()
        if sequence not in self._entries:
            self.figures.late += 1
            return
        entry = self._leave(sequence)
        entry.expiry.cancel()
        self._settle(entry.answer, outcome)

    def undecided(self, sequence: int, code: str, detail: str) -> None:
        """The service says that it did not evaluate that frame."""
        entry = self._entries.get(sequence)
        frame = entry.frame if entry else Frame(b"")
        self.answer(sequence, undefined(frame, code, detail))

    def give_up(self, sequence: int) -> None:
        """Nobody waits for its answer and it is not on its way: as if it had never been handed over."""
        if sequence in self._entries:
            self._leave(sequence).expiry.cancel()
            self.figures.sent -= 1

    def refuse_all(self, error: RefusedError) -> None:
        """The service refuses the stream itself: nothing will ever be answered."""
        self._refused = error
        for sequence in list(self._entries):
            self.answer(sequence, error)

    def _maybe_given_up(self, sequence: int, answer: asyncio.Future[Inspection]) -> None:
        entry = self._entries.get(sequence)
        if answer.cancelled() and entry is not None and entry.memory_id is None:
            self.give_up(sequence)

    async def _enter_room(self) -> None:
        """Raises TimeoutError where there is none by the deadline."""
        self._before_the_door += 1
        try:
            await asyncio.wait_for(self._room.acquire(), self._deadline_s)
        finally:
            self._before_the_door -= 1
            self._left.set()

    def _expire(self, sequence: int) -> None:
        entry = self._leave(sequence)
        detail = f"No verdict within {self._deadline_s:g} s."
        why = self.failure or Failure("deadline", detail)
        self._settle(entry.answer, undefined(entry.frame, why.code, why.detail))

    def _leave(self, sequence: int) -> Entry:
        entry = self._entries.pop(sequence)
        self._room.release()
        self._left.set()
        self.news.set()
        return entry

    def _settle(
        self, answer: asyncio.Future[Inspection], outcome: Inspection | RefusedError
    ) -> None:
        if isinstance(outcome, RefusedError):
            self.figures.refused += 1
        else:
            self.figures.answered += 1
            self.figures.undefined += outcome.verdict is Verdict.UNDEFINED
        if not answer.done():  # or its caller has given it up
            if isinstance(outcome, RefusedError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
