"""Ctrl-C, for commands that have something to say before they end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


@contextmanager
def ctrl_c(stop: Callable[[], object]) -> Iterator[asyncio.Event]:
    """The first Ctrl-C calls `stop` and sets the event; the second does what it always does."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    if sys.platform == "win32":
        yield told
        return

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        told.set()
        stop()

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield told
    finally:
        loop.remove_signal_handler(signal.SIGINT)
