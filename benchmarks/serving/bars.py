"""The bars that Flawline is held to, each computed within every repeat of a run; the median tells."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from serving.aggregate import BATCH_1, Spread
from serving.plan import LIMITS, Cell, split
from serving.store import Row

KIND = "200x200"
ALONE, EIGHT, CAMERA = Cell(clients=1), Cell(clients=8), Cell(rate_fps=50.0)
REST, STREAM = "flawline/rest", "flawline/stream"
_RATE = "frames_per_s"
LOOP = "limit"


@dataclass(frozen=True)
class Bar:
    """One promise, and what was measured: None where the run lacks what it needs."""

    words: str
    bound: float
    at_least: bool
    measured: Spread | None
    beside: str = ""
    """Who it was held against, where that had to be chosen; or why nothing was measured."""

    @property
    def met(self) -> bool | None:
        """None when unknown."""
        if self.measured is None:
            return None
        median = self.measured.median
        return median >= self.bound if self.at_least else median <= self.bound

    def to_json(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "bar": self.words,
            "bound": self.bound,
            "kind_of_bound": "at least" if self.at_least else "at most",
            "measured": self.measured.to_json() if self.measured else None,
            "beside": self.beside,
            "met": self.met,
        }


class _Cells:
    """Rows by contender and repeat, of one kind of pictures."""

    def __init__(self, rows: Sequence[Row], peers: set[str]) -> None:
        self._rows = [row for row in rows if row["kind"] == KIND]
        self._peers = peers

    def values(self, contender: str, cell: Cell, figure: str) -> dict[int, float]:
        """By repeat; of `limit` those of the fastest loop."""
        if contender == LOOP:
            of_loops = [self.values(name, cell, figure) for name in LIMITS]
            repeats = {repeat for values in of_loops for repeat in values}
            return {r: max(values[r] for values in of_loops if r in values) for r in repeats}
        return {
            row["repeat"]: row[figure]
            for row in self._rows
            if row["contender"] == contender
            and (row["clients"], row["rate_fps"]) == (cell.clients, cell.rate_fps)
            and row[figure] is not None
        }

    def best(
        self, names: Iterable[str], cell: Cell, figure: str, choose: Callable[..., str]
    ) -> str | None:
        """Whose median is best there."""
        medians = {
            name: statistics.median(values.values())
            for name in names
            if (values := self.values(name, cell, figure))
        }
        return choose(medians, key=medians.__getitem__) if medians else None

    def peers(self) -> list[str]:
        """Contenders that are not ours."""
        names = dict.fromkeys(row["contender"] for row in self._rows)
        return [name for name in names if split(name)[0] in self._peers]

    def first(self, prefix: str) -> str | None:
        """The contender whose name begins so, with the most threads."""
        names = {row["contender"] for row in self._rows if row["contender"].startswith(prefix)}
        return max(names, default=None)

    def ratio(self, over: str | None, under: str | None, cell: Cell, figure: str) -> Spread | None:
        """Within each repeat that has both."""
        if over is None or under is None:
            return None
        above, below = self.values(over, cell, figure), self.values(under, cell, figure)
        return Spread.of(above[r] / below[r] for r in sorted(above.keys() & below.keys()))


def load_bars(rows: Sequence[Row], peers: set[str]) -> list[Bar]:
    """Of the part `load`; peers: names of servers that are not ours."""
    cells = _Cells(rows, peers)
    others = cells.peers()
    fastest = cells.best(others, EIGHT, _RATE, max)
    quickest = cells.best(others, ALONE, "p50_ms", min)
    steadiest = cells.best(others, CAMERA, "p99_ms", min)
    redis = cells.first("flawline-redis-1x")
    one, two = "flawline-redis-1x1/rest", "flawline-redis-2x1/rest"

    def bar(
        words: str, bound: float, at_least: bool, over: str | None, under: str | None, cell: Cell
    ) -> Bar:
        figure = {ALONE: "p50_ms", EIGHT: _RATE, CAMERA: "p99_ms"}[cell]
        measured = cells.ratio(over, under, cell, figure)
        return Bar(words, bound, at_least, measured, f"{over} / {under}")

    return [
        bar("throughput, REST, 8 clients, to the bare loop", 0.85, True, REST, LOOP, EIGHT),
        bar(
            "throughput, gRPC stream, 8 clients, to the bare loop", 0.90, True, STREAM, LOOP, EIGHT
        ),
        bar("p50, REST, 1 client, to one bare picture", 1.3, False, REST, BATCH_1, ALONE),
        bar("throughput, REST, 8 clients, to the best peer", 1.3, True, REST, fastest, EIGHT),
        bar("p50, REST, 1 client, to the best peer", 0.7, False, REST, quickest, ALONE),
        bar("p99, REST, 50 frames/s, to the best peer", 1.0, False, REST, steadiest, CAMERA),
        bar("throughput, Redis and 1 worker, to embedded", 0.75, True, redis, REST, EIGHT),
        bar("throughput, 2 workers of one thread, to 1", 1.7, True, two, one, EIGHT),
    ]


def bars_table(bars: Sequence[Bar]) -> str:
    """As Markdown."""
    lines = [
        f"Pictures of {KIND}:\n",
        "| | bar | measured | met | which |",
        "|---|---|---|---|---|",
    ]
    for bar in bars:
        said = {True: "yes", False: "**no**", None: "not measured"}[bar.met]
        bound = f"{'at least' if bar.at_least else 'at most'} {bar.bound:g}"
        spread = bar.measured
        measured = f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})" if spread else ""
        lines.append(f"| {bar.words} | {bound} | {measured} | {said} | {bar.beside} |")
    return "\n".join(lines) + "\n"
