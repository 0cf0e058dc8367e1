"""When a batch is cut and what goes into it: decisions, no clock and no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """Positions in the list of waiting pictures: those to run now, and those too late.

    because: why no more run now: "full" (the largest batch), or "idle" (the engine was idle, and
    there were no more).
    """

    run: tuple[int, ...]
    expired: tuple[int, ...]
    because: str = "idle"


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """Work-conserving: an idle engine takes at once what waits, up to `max_batch`.

    There is no window to wait in: a lone picture runs alone, and a batch is what piled up while the
    engine was busy.

    max_batch: most pictures that run at once. parallel: how many batches run side by side. What waits
    is shared out among them: one that took all would leave the others without work.
    """

    max_batch: int
    parallel: int = 1

    def cut(self, deadlines_s: Sequence[float], now_s: float, run_s: float = 0.0) -> Cut:
        """What an idle engine does with the waiting pictures, the earliest deadline first.

        deadlines_s: of each picture, on the same clock as `now_s`; equal ones keep their
        order. run_s: how long a run takes; a picture that has no more left than that is too late.
        """
        ready_s = now_s + run_s
        expired = tuple(i for i, deadline_s in enumerate(deadlines_s) if deadline_s <= ready_s)
        alive = [i for i, deadline_s in enumerate(deadlines_s) if deadline_s > ready_s]
        alive.sort(key=lambda i: deadlines_s[i])
        largest = _shared_out(self.max_batch, self.parallel)
        size = min(largest, _shared_out(len(alive), self.parallel))
        return Cut(tuple(alive[:size]), expired, "full" if size == largest else "idle")


def _shared_out(pictures: int, batches: int) -> int:
    return -(-pictures // batches)


def halves(part: range) -> tuple[range, range]:
    """Two non-empty parts of a batch of at least two, to find which of them makes it fail."""
    middle = (part.start + part.stop + 1) // 2
    return range(part.start, middle), range(middle, part.stop)
