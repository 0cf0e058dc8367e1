"""An event loop in a thread of its own, so that ordinary code can use what is written for asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines for other threads, until it is closed."""

    def __init__(self) -> None:
        self._closing = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="flawline client", daemon=True
        )
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start it, and return where its result will be. Raises RuntimeError once closed."""
        if self._closed:
            work.close()  # or Python warns that nobody awaited it
            raise RuntimeError("This client is closed; make a new one.")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result."""
        future = self.begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # as when Ctrl-C ends the waiting
            raise

    def each(self, source: AsyncIterator[T]) -> Iterator[T]:
        """What comes of it, one after the other."""
        while True:
            try:
                item = self.run(_next(source))
            except StopAsyncIteration:
                return
            yield item

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this, and end the thread. Once that is done, to close again does nothing."""
        with self._closing:
            if self._closed:
                return
            self.run(last())
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)
