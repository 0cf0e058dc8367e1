"""Waiting that ends in time, whatever the awaited work does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from flawline.application.ports import Clock

T = TypeVar("T")


class DeadlinePassed(Exception):  # noqa: N818 - an ordinary end of waiting, caught where it is awaited
    """The moment came before the result."""


async def within(clock: Clock, moment_s: float, work: Awaitable[T]) -> T:
    """The result of `work`, or DeadlinePassed at that moment of the monotonic clock.

    At the moment, and when the caller is cancelled, `work` is cancelled and not waited for: it may
    clean up as long as it likes, the caller has gone on. (asyncio.wait_for waits for it, and knows
    no injected clock.) What is to go on all the same is given in asyncio.shield.
    """
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    task: asyncio.Future[T] = asyncio.ensure_future(work)
    task.add_done_callback(wake)
    timer = clock.call_at(moment_s, wake)
    try:
        await over
    finally:
        timer.cancel()
        in_time = task.done()  # a future, unlike a task, is done once it is cancelled
        if not in_time:
            task.cancel()
            task.add_done_callback(_forget)
    if in_time:
        try:
            return task.result()
        finally:
            # Or what it raised would hold itself, and the picture, by way of this frame.
            del task, work
    raise DeadlinePassed


async def pause(clock: Clock, seconds: float) -> None:
    """Let so much time of that clock pass."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(clock.monotonic_s() + seconds, lambda: over.set_result(None))
    try:
        await over
    finally:
        timer.cancel()


def _forget(task: asyncio.Future[Any]) -> None:
    """Fetch the outcome of abandoned work, or asyncio would report it as an oversight."""
    if not task.cancelled():
        task.exception()
