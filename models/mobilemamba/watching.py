"""Work that takes long on many pictures, and who is told how far it has come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Watch = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

FIRST_S, EVERY_S = 5.0, 30.0


def unwatched(work: str, done: int, total: int) -> None:
    """For who need not be told."""


def watched(items: Iterable[T], total: int, work: str, watch: Watch) -> Iterator[T]:
    """The items, `total` of them; `watch` is called after each."""
    for done, item in enumerate(items, start=1):
        yield item
        watch(work, done, total)


class WorkLines:
    """A `Watch` that says a line after `FIRST_S` and then every `EVERY_S`, as a log can hold it; of short work none."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._clock = say, clock
        self._work, self._done = "", 0
        self._began = self._next = 0.0

    def __call__(self, work: str, done: int, total: int) -> None:
        """See `Watch`."""
        now = self._clock()
        if work != self._work or done < self._done:
            self._began, self._next = now, now + FIRST_S
        self._work, self._done = work, done
        if now >= self._next and done < total:
            self._next = now + EVERY_S
            left = math.ceil((now - self._began) / done * (total - done) / 60)
            self._say(f"{work}: {done} of {total}, some {left} min to go")
