"""When a batch is cut and what goes into it: decisions, no clock and no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """Positions in the list of waiting pictures: those to run now, and those too late.

    because: why no more run now: "full" (the largest batch), "deadline" (another one would have cost
    one of them its own), or "idle" (the engine was idle, and there were no more).
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

    def largest(self, rows: int) -> int:
        """The rows that a batch has at most where so many wait; a frame that takes more of them runs alone."""
        return _shared_out(min(rows, self.max_batch), self.parallel)

    def cut(
        self,
        deadlines_s: Sequence[float],
        now_s: float,
        run_s: float = 0.0,
        prepare_s: Sequence[float] | None = None,
        rows: Sequence[int] | None = None,
    ) -> Cut:
        """What an idle engine does with the waiting pictures, the earliest deadline first.

        deadlines_s: of each picture, on the same clock as `now_s`; equal ones keep their order. run_s: how
        long a run takes, prepare_s: how long preparing each picture takes before it, and what it takes beyond
        such a run. A picture that has no more left than both is too late, and none goes with one whose deadline it
        would cost. rows: of a batch that each picture takes, 1 by default; one that takes more than there are runs
        alone.
        """
        takes = rows or [1] * len(deadlines_s)
        needs_s = prepare_s or [0.0] * len(deadlines_s)
        left_s = [deadline_s - now_s - run_s for deadline_s in deadlines_s]  # to prepare in
        expired = tuple(i for i, left in enumerate(left_s) if left <= needs_s[i])
        alive = [i for i, left in enumerate(left_s) if left > needs_s[i]]
        alive.sort(key=lambda i: deadlines_s[i])
        largest = _shared_out(self.max_batch, self.parallel)
        size = min(largest, _shared_out(len(alive), self.parallel))
        run: list[int] = []
        rows_left, together_s, crowded = largest, 0.0, False
        for i in alive:
            if run and len(run) < size and takes[i] > rows_left:
                crowded = True
            elif len(run) < size and (not run or together_s + needs_s[i] <= left_s[run[0]]):
                run.append(i)
                together_s += needs_s[i]
                rows_left -= takes[i]
        if crowded or (run and rows_left <= 0):
            return Cut(tuple(run), expired, "full")
        return Cut(tuple(run), expired, "idle" if len(run) == size else "deadline")


def _shared_out(pictures: int, batches: int) -> int:
    return -(-pictures // batches)


def halves(part: range) -> tuple[range, range]:
    """Two non-empty parts of a batch of at least two, to find which of them makes it fail."""
    middle = (part.start + part.stop + 1) // 2
    return range(part.start, middle), range(middle, part.stop)
