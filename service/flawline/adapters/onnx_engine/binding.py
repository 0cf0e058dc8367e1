"""Cores that the engine's threads are bound to, for as long as other processes leave them to us."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# Cores, as other processes use them together. Measured on two: beside half a core of others a bound thread is as fast
# as one that may go elsewhere; beside a whole one a picture takes half as long again, and one in a hundred three times
# as long.
_CROWDED = 0.6
_CALM = 0.4
_CALM_FOR_S = 5.0
# What was so for longer, while nothing was asked of this process, need not be so now.
_RECENT_S = 3.0
_STAT = Path("/proc/stat")


class CoreBinding:
    """Binds each thread that joins to a core of its own; lets go of all while others compute much on this machine.

    cores: all that this process may use, one for each thread. others_s: seconds that other processes have computed
    since some moment; None where that cannot be told, and the threads stay bound. now_s: a monotonic clock.

    Attributes:
        given_up: whether it has let go of them.
    """

    def __init__(
        self,
        cores: Sequence[int] = (),
        others_s: Callable[[], float | None] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cores = tuple(cores) if hasattr(os, "sched_setaffinity") else ()
        self.given_up = False
        self._others_s = others_s or seconds_of_others
        self._now_s = now_s
        self._threads: dict[int, int] = {}  # the core of each, by its id in the system
        self._looking = threading.Lock()
        self._before = (now_s(), self._others_s() if self.cores else None)
        self._next_s = self._before[0] + _LOOK_EVERY_S
        self._calm_since_s: float | None = None

    def join(self, number: int) -> None:
        """Bind the thread that calls to the core with that number, if there is one."""
        if number < len(self.cores):
            with self._looking:
                self._threads[threading.get_native_id()] = self.cores[number]
                self._place()

    def look(self) -> None:
        """Let go, or bind anew, when it is time to look; to be called often, by any thread."""
        if not self.cores or self._now_s() < self._next_s or not self._looking.acquire(False):
            return
        try:
            self._look()
        finally:
            self._looking.release()

    def _look(self) -> None:
        (before_s, others_before_s), now_s = self._before, self._now_s()
        others_s = self._others_s()
        self._before, self._next_s = (now_s, others_s), now_s + _LOOK_EVERY_S
        if others_s is None or others_before_s is None or now_s <= before_s:
            return
        others = (others_s - others_before_s) / (now_s - before_s)
        calm_since_s = before_s if self._calm_since_s is None else self._calm_since_s
        self._calm_since_s = calm_since_s if others < _CALM else None
        recent = now_s - before_s < _RECENT_S
        if not self.given_up and recent and others > _CROWDED:
            logger.info("cores_released others=%.2f", others)
            self._change(given_up=True)
        elif self.given_up and others < _CALM and now_s - calm_since_s >= _CALM_FOR_S:
            logger.info("cores_bound others=%.2f", others)
            self._change(given_up=False)

    def _change(self, *, given_up: bool) -> None:
        self.given_up = given_up
        self._place()

    def _place(self) -> None:
        for thread, core in self._threads.items():
            # It has ended, or the machine took the core away: it goes without.
            with suppress(OSError):
                os.sched_setaffinity(thread, self.cores if self.given_up else (core,))


def seconds_of_others(stat: Path = _STAT) -> float | None:
    """What all processes of the machine have computed, less what this one has; None where the system does not say."""
    own_s = time.process_time()
    try:
        name, user, nice, system, _idle, _iowait, irq, softirq, *_ = stat.read_text().split(None, 8)
        ticks = sum(map(int, (user, nice, system, irq, softirq)))
    except (OSError, ValueError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") - own_s if name == "cpu" else None
