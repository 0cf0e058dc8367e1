"""Ctrl-C and SIGTERM, for commands that have something to say, or to end, before they end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""The exit code after Ctrl-C."""


@contextmanager
def ctrl_c(stop: Callable[[], object]) -> Iterator[asyncio.Event]:
    """The first Ctrl-C or SIGTERM calls `stop` and sets the event; the second does what it always does."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    if sys.platform == "win32":
        yield told
        return

    def first() -> None:
        as_ever()
        told.set()
        stop()

    def as_ever() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, first)
    try:
        yield told
    finally:
        as_ever()
