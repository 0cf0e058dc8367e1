"""Cores that the engine's threads are bound to, for as long as other processes leave them to us."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# Cores, as other processes use them together. Measured on two: beside half a core of others a bound thread is as fast
# as one that may go elsewhere; beside a whole one a picture takes half as long again, and one in a hundred three times
# as long.
_CROWDED = 0.6
# Of cores beyond these four, which a lone picture may be computed on, others are given half. Not measured.
_OURS = 4
_CALM_SHARE = 2 / 3
_CALM_FOR_S = 5.0
# In a row: a program that starts computes for a moment.
_CROWDED_LOOKS = 2
# This process was stopped, say: what was so for longer need not be so now.
_RECENT_S = 3.0
# What this process computes while it looks may count as of others.
_BLURRED_S = 0.05
_STAT = Path("/proc/stat")


class CoreBinding:
    """Binds each thread that joins to a core of its own; lets go of all while others compute much on these cores.

    cores: all that this process may use, one for each thread. others_s: seconds that other processes have computed on
    them since some moment; None where that cannot be told, and the threads stay as they are. now_s: a monotonic clock.

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
        self._others_s = others_s or (lambda: seconds_of_others(self.cores))
        self._now_s = now_s
        self._crowded = _CROWDED + 0.5 * max(0, len(self.cores) - _OURS)
        self._placing = threading.Lock()
        self._threads: dict[int, int] = {}  # the core of each, by its id in the system
        self._before = (now_s(), self._others_s() if self.cores else None)
        self._crowded_looks = 0
        self._calm_since_s: float | None = None
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look_on, name="flawline-cores", daemon=True)

    def start(self) -> None:
        """Begin to look what others do, every second."""
        if self.cores:
            self._watch.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def join(self, number: int) -> None:
        """Bind the thread that calls to the core with that number, if there is one."""
        if number < len(self.cores):
            with self._placing:
                self._threads[threading.get_native_id()] = self.cores[number]
            self._place()

    def look(self) -> None:
        """Let go, or bind anew, by what others did since the last time."""
        (before_s, others_before_s), now_s = self._before, self._now_s()
        others_s = self._others_s()
        self._before = (now_s, others_s)
        if others_s is None or others_before_s is None or not 0 < now_s - before_s < _RECENT_S:
            return
        others = (others_s - others_before_s) / (now_s - before_s)
        self._crowded_looks = self._crowded_looks + 1 if others > self._crowded else 0
        calm = others < _CALM_SHARE * self._crowded
        calm_since_s = before_s if self._calm_since_s is None else self._calm_since_s
        self._calm_since_s = calm_since_s if calm else None
        if not self.given_up and self._crowded_looks >= _CROWDED_LOOKS:
            logger.info("cores_released others=%.2f", others)
            self._change(given_up=True)
        elif self.given_up and calm and now_s - calm_since_s >= _CALM_FOR_S:
            logger.info("cores_bound others=%.2f", others)
            self._change(given_up=False)

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self.look()

    def _change(self, *, given_up: bool) -> None:
        self.given_up = given_up
        self._place()

    def _place(self) -> None:
        with self._placing:
            for thread, core in self._threads.items():
                # It has ended, or the machine took the core away: it goes without.
                with suppress(OSError):
                    os.sched_setaffinity(thread, self.cores if self.given_up else (core,))


def seconds_of_others(cores: Collection[int], stat: Path = _STAT) -> float | None:
    """What all processes have computed on these cores, less what this one has; None where the system does not say."""
    before_s = time.process_time()
    try:
        lines = stat.read_text().splitlines()
        ticks = sum(_busy_ticks(line) for line in lines if _core_of(line) in cores)
    except (OSError, ValueError):
        return None
    own_s = time.process_time()
    if not ticks or own_s - before_s > _BLURRED_S:
        return None
    return ticks / os.sysconf("SC_CLK_TCK") - (before_s + own_s) / 2


def _core_of(line: str) -> int | None:
    """Of a line such as `cpu3 10 0 5 900 ...`; None for others."""
    name = line.partition(" ")[0]
    return int(name[3:]) if name.startswith("cpu") and name[3:].isdecimal() else None


def _busy_ticks(line: str) -> int:
    _name, user, nice, system, _idle, _iowait, irq, softirq, *_ = line.split()
    return sum(map(int, (user, nice, system, irq, softirq)))
