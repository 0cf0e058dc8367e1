"""The calls of a client that are open, so that closing it ends them in words and not by a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ClosedError(RuntimeError):
    """The client was closed, before the call or while it was open."""

    def __init__(self) -> None:
        super().__init__("This client is closed; make a new one.")


class OneLoop:
    """The event loop that a client was used on first: its connections are of that one, and no other can use them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Raises RuntimeError on another."""
        running = asyncio.get_running_loop()
        self._loop = self._loop or running
        if running is not self._loop:
            raise RuntimeError(
                "This client was used on another event loop, which its connections are of: use it within one "
                "asyncio.run, or make a new one in each. For ordinary code there is the form without Async."
            )


class OpenCalls:
    """Each call runs in a task of its own: only so is its end told from the cancelling of the task that asked."""

    def __init__(self) -> None:
        self._closed = False
        self._loop = OneLoop()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Its result. Raises ClosedError once closed, be it meanwhile; RuntimeError on another loop than before."""
        try:
            if self._closed:
                raise ClosedError
            self._loop.check()
        except RuntimeError:
            call.close()  # or Python warns that nobody awaited it
            raise
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # of no effect when it is done
        if task.cancelled():
            raise ClosedError
        try:
            return task.result()
        finally:
            del task  # or what it raised would hold itself, by way of this frame

    async def each(self, source: AsyncIterator[T]) -> AsyncIterator[T]:
        """What comes of it. Raises as `run`."""
        while True:
            try:
                item = await self.run(next_of(source))
            except StopAsyncIteration:
                return
            yield item

    async def close(self) -> None:
        """End those that are open, and begin no more. Raises RuntimeError on another loop than they are of."""
        if not self._closed:
            self._loop.check()
        self._closed = True
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def next_of(source: AsyncIterator[T]) -> T:
    """The next item as a coroutine, which a task can be made of. Raises StopAsyncIteration."""
    return await anext(source)
