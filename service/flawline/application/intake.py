"""Where pictures are first read through: large ones off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


class Intake:
    """large_picture_bytes: from so many on, `executor` does it."""

    def __init__(self, executor: Executor, large_picture_bytes: int) -> None:
        self._executor = executor
        self._large_picture_bytes = large_picture_bytes

    async def read(self, picture: bytes, by: Callable[[bytes], T]) -> T:
        """What `by` makes of it. Raises what `by` raises."""
        if len(picture) < self._large_picture_bytes:
            return by(picture)
        return await asyncio.get_running_loop().run_in_executor(self._executor, by, picture)
