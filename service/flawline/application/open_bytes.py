"""A bound on the bytes of all pictures that are open at a time."""

from __future__ import annotations

import asyncio


class OpenBytes:
    """Who wants to read one more picture waits while `most` bytes are open.

    The size of a picture is known once it is read, so each reader may exceed the bound by one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._room = asyncio.Event()
        self._room.set()

    async def until_room(self) -> None:
        """Return while fewer bytes than allowed are open."""
        while self._open >= self._most:
            self._room.clear()
            await self._room.wait()

    def take(self, count: int) -> None:
        """So many more are open."""
        self._open += count

    def give(self, count: int) -> None:
        """So many are open no longer."""
        self._open -= count
        if self._open < self._most:
            self._room.set()
