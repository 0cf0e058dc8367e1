"""InspectionFeed of a single process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flawline.application.watchers import WatchedInspection, Watchers
from flawline.core.values import Inspection


class MemoryFeed:
    """Tells those who watch in this process. `most`: unread inspections kept for each of them."""

    def __init__(self, most: int) -> None:
        self._watchers = Watchers(most)

    def publish(self, inspection: Inspection) -> None:
        """Tell all who watch."""
        self._watchers.tell(inspection)

    @asynccontextmanager
    async def watch(self, lines: frozenset[str]) -> AsyncIterator[AsyncIterator[WatchedInspection]]:
        """What is finished from now on; of all lines for an empty set."""
        with self._watchers.joined(lines) as watched:
            yield watched
