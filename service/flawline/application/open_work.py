"""Accepted work that is not answered yet: what a drain waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class OpenWork:
    """Counts what is open, whoever accepted it."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @property
    def count(self) -> int:
        """How much is open."""
        return self._count

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Open while the block runs."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def until_none(self) -> None:
        """Return when nothing is open."""
        await self._none.wait()
