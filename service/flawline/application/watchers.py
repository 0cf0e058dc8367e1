"""Who watches finished inspections in this process, each with a buffer that is bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flawline.core.values import Inspection


@dataclass(frozen=True, slots=True)
class WatchedInspection:
    """A finished inspection. missed: how many the one who watches did not get so far."""

    inspection: Inspection
    missed: int


class _Watcher(AsyncIterator[WatchedInspection]):
    """The newest `most` inspections that were not read yet; the oldest give way."""

    def __init__(self, lines: frozenset[str], most: int) -> None:
        self._lines = lines
        self._most = most
        self._unread: deque[Inspection] = deque()
        self._missed = 0
        self._news = asyncio.Event()

    def tell(self, inspection: Inspection) -> None:
        if self._lines and inspection.line not in self._lines:
            return
        if len(self._unread) == self._most:
            self._unread.popleft()
            self._missed += 1
        self._unread.append(inspection)
        self._news.set()

    async def __anext__(self) -> WatchedInspection:
        while not self._unread:
            self._news.clear()
            await self._news.wait()
        return WatchedInspection(self._unread.popleft(), self._missed)


class Watchers:
    """Hands each inspection to all who watch its line. `most`: unread ones kept for each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._watchers: set[_Watcher] = set()

    def __len__(self) -> int:
        return len(self._watchers)

    def tell(self, inspection: Inspection) -> None:
        """Never waits: who does not keep up misses the oldest."""
        for watcher in self._watchers:
            watcher.tell(inspection)

    @contextmanager
    def joined(self, lines: frozenset[str]) -> Iterator[AsyncIterator[WatchedInspection]]:
        """Watch these lines, all for an empty set, until it is left."""
        watcher = _Watcher(lines, self._most)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
