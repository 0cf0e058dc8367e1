"""What outlives a request: answers, tickets, and the feed for those who watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from flawline.application.answer import KeptAnswer
from flawline.application.ticket import Pending, TicketState
from flawline.application.watchers import WatchedInspection
from flawline.core.values import Inspection


class AnswerMemory(Protocol):
    """Answers kept under idempotency keys, for a set time, and who is about to give one."""

    async def claim(self, key: str, life_s: float) -> bool:
        """Whether the answer is ours to give now; False while another process works on it.

        Ends by itself after `life_s`, so that nobody waits for one who died.
        """
        ...

    async def hold(self, key: str, life_s: float) -> None:
        """Our claim lasts so long from now at least; harmless when it had ended."""
        ...

    async def release(self, key: str) -> None:
        """Our claim has ended; harmless when it had already."""
        ...

    async def find(self, key: str) -> KeptAnswer | None:
        """The answer kept under that key, if there is one."""
        ...

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep the answer unless there is one; returns the one that is kept: the first wins."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep these no longer; nobody will ask again."""
        ...

    async def identity(self) -> str:
        """A name that is another one once what was kept is lost."""
        ...


class InspectionFeed(Protocol):
    """Brings finished inspections to whoever watches, whichever process finished them."""

    def publish(self, inspection: Inspection) -> None:
        """Tell all who watch. Never raises, never waits."""
        ...

    def watch(
        self, lines: frozenset[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchedInspection]]:
        """What is finished from the moment on at which it is entered; of all lines for an empty set.

        A watcher that is too slow misses the oldest, and learns how many.
        """
        ...


class TicketMemory(Protocol):
    """How inspections stand whose callers come back for the answer; each for a set time."""

    async def expect(self, key: str, pending: Pending) -> None:
        """Note that one runs, unless its answer is there already."""
        ...

    async def keep(self, key: str, state: TicketState) -> None:
        """Keep the answer, in the place of what is noted."""
        ...

    async def find(self, key: str) -> TicketState | None:
        """How it stands; None when it is not known. Raises NotReady when that cannot be told."""
        ...
