"""Time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Make sure it does not happen; harmless when it already did."""
        ...


class Clock(Protocol):
    """The only source of time. Deadlines use the monotonic clock, answers carry the time of day."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back; may be read from any thread."""
        ...

    def utc_now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def call_at(self, moment_s: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running event loop at that monotonic moment; soon, if it has passed."""
        ...
