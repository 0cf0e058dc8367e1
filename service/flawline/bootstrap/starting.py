"""Starting and stopping a process: what may be in the way is told to whoever starts it."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial

from flawspec.errors import ArtifactError


class StartupError(Exception):
    """The service cannot start; the text says why and what to do."""


async def started(load: Callable[[], Awaitable[None]]) -> None:
    """Load a model and run it. Raises StartupError."""
    try:
        await load()
    except ArtifactError as error:
        raise StartupError(str(error)) from error


async def listening(
    start: Callable[[str, int], Awaitable[int]], host: str, port: int, setting: str
) -> int:
    """The port taken. Raises StartupError, which names the setting."""
    try:
        return await start(host, port)
    except OSError as error:
        name = f"{setting} (FLAWLINE_{setting.upper()})"
        if error.errno == errno.EADDRINUSE:
            why = f"{name} {port} on {host} is taken: stop what listens there, or choose another."
        else:
            why = f"{name} {port} on {host} cannot be listened on: {error.strerror or error}."
        raise StartupError(why) from error


@asynccontextmanager
async def told_to_stop() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set; before and after, they do what they did."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    with ExitStack() as handled:
        for number in (signal.SIGTERM, signal.SIGINT):
            handled.callback(_handle(number, loop, told))
        yield told


def _handle(
    number: signal.Signals, loop: asyncio.AbstractEventLoop, told: asyncio.Event
) -> Callable[[], object]:
    """What ends it again."""
    try:
        loop.add_signal_handler(number, told.set)
    except NotImplementedError:  # on Windows
        former = signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.set))
        return partial(signal.signal, number, former)
    return partial(loop.remove_signal_handler, number)
