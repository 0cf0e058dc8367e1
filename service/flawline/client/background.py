"""An event loop in a thread of its own, so that ordinary code can use what is written for asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from flawline.client.calls import ClosedError, next_of

T = TypeVar("T")

_ON_ITS_THREAD = (
    "This client was used by a callback of an answer of its own, which runs on the thread that does the client's work: "
    "it would wait for itself. Hand the answer to another thread, a queue.Queue say, and use the client there."
)


class Background:
    """Runs coroutines for other threads, until it is closed."""

    def __init__(self) -> None:
        # Of one thread again and again: the handler of a signal may close what it interrupted.
        self._beginning = threading.RLock()
        self._closing = False
        self._process_id = os.getpid()
        self._ended = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="flawline client", daemon=True
        )
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start it, and return where its result will be.

        Raises ClosedError once closed, be it meanwhile; RuntimeError in another process than this was made in.
        """
        if self._in_another_process():  # forked without the thread, and maybe with the lock held
            work.close()  # or Python warns that nobody awaited it
            raise RuntimeError(
                "This client was made in another process, whose connections it has: make one in each process."
            )
        with self._beginning:
            if self._closing:
                work.close()
                raise ClosedError
            return self.follow(work)

    def follow(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """As `begin`, for work that goes on with what was begun before: not refused while the client is closing."""
        return asyncio.run_coroutine_threadsafe(self._until_ended(work), self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. Raises as `begin`; RuntimeError on the thread that would have to do the work."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(_ON_ITS_THREAD)
        future = self.begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # as when Ctrl-C ends the waiting
            raise
        finally:
            del future  # or what it raised would hold itself, by way of this frame

    def each(self, source: AsyncIterator[T]) -> Iterator[T]:
        """What comes of it, one after the other."""
        while True:
            try:
                item = self.run(next_of(source))
            except StopAsyncIteration:
                return
            yield item

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin nothing more, run this, end what is still open, and the thread. To close again only waits for that.

        In another process than this was made in there is nothing to close. Raises RuntimeError on its own thread.
        """
        if self._in_another_process():
            return
        if threading.current_thread() is self._thread:
            raise RuntimeError(_ON_ITS_THREAD)
        with self._beginning:
            first, self._closing = not self._closing, True
        if not first:
            self._thread.join()
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(last), self._loop)
        try:
            ending.result()
        finally:
            ending.cancel()  # as when Ctrl-C ends the waiting; of no effect when it is done
            self._thread.join()
            self._loop.close()

    def _in_another_process(self) -> bool:
        return os.getpid() != self._process_id

    async def _end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await last()
        finally:
            self._ended = True
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            try:
                await asyncio.gather(*others, return_exceptions=True)
                await self._loop.shutdown_asyncgens()
            finally:
                # In the turn of the loop in which those who wait for this task hear of its end.
                self._loop.call_soon(self._loop.stop)

    async def _until_ended(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except asyncio.CancelledError:
            if self._ended:
                raise ClosedError from None
            raise
