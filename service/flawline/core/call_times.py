"""How long the engine's calls take of late: what a picture must at least have left to be worth running."""

from __future__ import annotations

from collections import deque

KEPT = 16
ENOUGH = 8
STALE_S = 2.0


class CallTimes:
    """The last `KEPT` calls.

    A service asked for more than it can do runs the earliest deadline first. Would it run what ends just too
    late, every picture would end just too late, and none be answered. So what cannot be ready in time is
    dropped, and what is left is answered.
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._ended_s = 0.0

    def add(self, lasted_s: float, ended_s: float, size: int = 0) -> None:
        """A call that came back; `ended_s` on the clock that `expected_s` is asked by. size: of its work."""
        if ended_s - self._ended_s > STALE_S:
            self._calls.clear()
        self._calls.append((size, lasted_s))
        self._ended_s = ended_s

    def expected_s(self, now_s: float, size: int = 0) -> float:
        """The second slowest of them, so that a single hiccup costs nobody; 0, when nothing should be dropped.

        Only calls of no more than twice the work of `size` count, whatever larger ones took.

        That is so with fewer than `ENOUGH` calls, or without any for `STALE_S`: an engine that became
        slower than all deadlines is thus tried again and again, and found when it is fast once more.
        """
        lasted_s = [lasted for of, lasted in tuple(self._calls) if of <= 2 * size]
        if len(lasted_s) < ENOUGH or now_s - self._ended_s > STALE_S:
            return 0.0
        return sorted(lasted_s)[-2]
