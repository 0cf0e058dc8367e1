"""The threads that an engine is called from."""

from __future__ import annotations

import queue
import threading
import time
from asyncio import wrap_future
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from flawline.adapters.onnx_engine.binding import CoreBinding

T = TypeVar("T")


class EngineThreads:
    """Each runs one call after the other, in the order of asking.

    They are daemons: a call that never returns must not keep the process alive. binding: the first thread
    computes on the first of its cores, and so on; threads beyond them go where there is room.
    """

    def __init__(self, count: int, binding: CoreBinding | None = None) -> None:
        self._binding = binding or CoreBinding()
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name="flawline-engine", daemon=True)
            for i in range(count)
        ]

    def start(self) -> None:
        """Before any call."""
        for thread in self._threads:
            thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        """What the call gives, or raises."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        try:
            return await wrap_future(future)
        finally:
            del future  # as in `_answer`

    def close(self, limit_s: float) -> None:
        """End them after what was asked; a stuck one is left after `limit_s` seconds."""
        ends_s = time.monotonic() + limit_s
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, ends_s - time.monotonic()))

    def _work(self, number: int) -> None:
        # Two that wake up at once else share a core now and then, while another one idles.
        self._binding.join(number)
        while (task := self._calls.get()) is not None:
            _answer(*task)
            del task  # or its batch, with all pictures, would stay in memory until the next one


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
        future.set_exception(error)
        del future  # or the error would hold itself, and the batch, by way of this frame
