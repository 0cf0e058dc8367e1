"""The clock of the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone


class SystemClock:
    """The machine's time; timers belong to the event loop that is running when they are set."""

    def monotonic_s(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    def utc_now(self) -> datetime:
        """The time of day."""
        return datetime.now(timezone.utc)

    def call_at(self, moment_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at `moment_s`, soon if it has passed."""
        delay_s = max(0.0, moment_s - time.monotonic())
        return asyncio.get_running_loop().call_later(delay_s, callback)
