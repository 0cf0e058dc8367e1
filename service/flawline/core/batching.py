"""When a batch is cut and what goes into it: decisions and memory, no clock and no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Cut:
    """Positions in the list of prepared pictures: those to run now, and those too late.

    because: why no more run now: "full" (the largest batch), or "idle" (the engine was idle, and
    there were no more).
    """

    run: tuple[int, ...]
    expired: tuple[int, ...]
    because: str = "idle"


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """Work-conserving: an idle engine takes at once what is prepared, up to `max_batch`.

    There is no window to wait in: a lone picture runs alone, and a batch is what piled up while the
    engine was busy.

    max_batch: most pictures that run at once. parallel: how many batches run side by side. What is prepared
    is shared out among them: one that took all would leave the others without work.
    """

    max_batch: int
    parallel: int = 1

    def cut(self, deadlines_s: Sequence[float], now_s: float, run_s: float = 0.0) -> Cut:
        """What an idle engine does with the prepared pictures, the earliest deadline first.

        deadlines_s: of each prepared picture, on the same clock as `now_s`; equal ones keep their
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


class FrameRows:
    """Memory for pictures, allocated once.

    Pictures are prepared in any order, each in a row of its own; a batch is gathered from those
    that are done. The copy is some 10 µs a picture, and lets preparing go on while the engine reads
    the batch. Rows are uint8 [1, height, width]. batches: how many are in use at a time.
    """

    def __init__(
        self, rows: int, input_height_px: int, input_width_px: int, batches: int = 1
    ) -> None:
        shape = (rows, 1, input_height_px, input_width_px)
        self._rows = np.empty(shape, dtype=np.uint8)
        self._batches = np.empty((batches, *shape), dtype=np.uint8)
        self._free = list(range(rows))

    @property
    def free(self) -> int:
        """How many more pictures may be prepared now."""
        return len(self._free)

    def take(self) -> int:
        """The number of a free row, the caller's until given back. Raises IndexError if none is."""
        return self._free.pop()

    def row(self, number: int) -> NDArray[np.uint8]:
        """A view of that row, uint8 [1, height, width]."""
        view: NDArray[np.uint8] = self._rows[number]
        return view

    def give_back(self, number: int) -> None:
        """The row may be taken again."""
        self._free.append(number)

    def gather(self, numbers: Sequence[int], batch_number: int = 0) -> NDArray[np.uint8]:
        """Copy rows into that batch, and give them back.

        The batch, uint8 [N, 1, height, width], is valid until the next call for the same one.
        """
        batch: NDArray[np.uint8] = self._batches[batch_number, : len(numbers)]
        # Any mode but the default one writes to `out` directly.
        np.take(self._rows, numbers, axis=0, out=batch, mode="clip")
        self._free.extend(numbers)
        return batch
