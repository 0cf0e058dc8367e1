"""From the rows of a run to ratios: each within its own repeat, then the median over repeats with the spread."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from serving.plan import LIMITS
from serving.store import Row

BATCH_1 = "limit/batch-1"
_FIGURES = (
    "frames_per_s",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "cpu_ms_a_frame",
    "rss_mb",
    "pss_mb",
    "generator_cpu_ms_a_frame",
)


@dataclass(frozen=True)
class Spread:
    """Of a figure over the repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """None when no repeat has a value."""
        there = [value for value in values if value is not None]
        return cls(statistics.median(there), min(there), max(there)) if there else None

    def to_json(self) -> dict[str, float]:
        """Rounded to what repeats can tell."""
        return {name: _rounded(getattr(self, name)) for name in ("median", "low", "high")}


Key = tuple[str, int, float]
"""Kind, clients, cadence."""


@dataclass(frozen=True)
class Result:
    """One contender in one cell."""

    contender: str
    kind: str
    clients: int
    rate_fps: float
    repeats: int
    figures: dict[str, Spread]
    ratios: dict[str, Spread]
    """To the bare loop: frames_per_s to that of the fastest one, p50_ms, p99_ms and cpu_ms_a_frame to batch-1's."""
    miss_share: float
    """Of the frames asked: late, or without a real answer."""
    failures: dict[str, int]

    @property
    def key(self) -> Key:
        """Its cell."""
        return (self.kind, self.clients, self.rate_fps)

    def to_json(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "contender": self.contender,
            "kind": self.kind,
            "clients": self.clients,
            "rate_fps": self.rate_fps,
            "repeats": self.repeats,
            "figures": {name: spread.to_json() for name, spread in self.figures.items()},
            "ratios_to_limit": {name: spread.to_json() for name, spread in self.ratios.items()},
            "deadline_miss_share": _rounded(self.miss_share),
            "failures": self.failures,
        }


def aggregated(rows: Sequence[Row]) -> list[Result]:
    """In the order in which contenders first appear."""
    bare = _Bare(rows)
    grouped: dict[tuple[str, str, int, float], list[Row]] = {}
    for row in rows:
        key = (row["contender"], row["kind"], row["clients"], row["rate_fps"])
        grouped.setdefault(key, []).append(row)
    return [_result(*key, group, bare) for key, group in grouped.items()]


class _Bare:
    """What the bare loops reached, to divide by: in the same repeat, and nearest in the plan."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = [row for row in rows if row["contender"] in LIMITS]

    def best_frames_per_s(self, row: Row) -> float | None:
        beside = [
            r["frames_per_s"]
            for r in self._rows
            if _same(r, row, "kind", "repeat", "clients", "rate_fps")
        ]
        return max(beside, default=None)

    def one_by_one(self, row: Row, figure: str) -> float | None:
        """The median over the repeat's cells: a bare loop does not know how many clients there are."""
        values = [
            r[figure]
            for r in self._rows
            if r["contender"] == BATCH_1 and _same(r, row, "kind", "repeat")
        ]
        return statistics.median(values) if values else None


def _same(a: Row, b: Row, *names: str) -> bool:
    return all(a[name] == b[name] for name in names)


def _result(
    contender: str, kind: str, clients: int, rate_fps: float, rows: list[Row], bare: _Bare
) -> Result:
    figures = {name: Spread.of(row[name] for row in rows) for name in _FIGURES}
    ratios = {
        name: Spread.of(_quotient(row[name], bare.one_by_one(row, base)) for row in rows)
        for name, base in (
            ("p50_ms", "p50_ms"),
            ("p95_ms", "p50_ms"),
            ("p99_ms", "p50_ms"),
            ("cpu_ms_a_frame", "cpu_ms_a_frame"),
        )
    }
    if clients:
        ratios["frames_per_s"] = Spread.of(
            _quotient(row["frames_per_s"], bare.best_frames_per_s(row)) for row in rows
        )
    failures: Counter[str] = Counter()
    for row in rows:
        failures.update(row["failures"])
    asked = sum(row["asked"] for row in rows)
    return Result(
        contender,
        kind,
        clients,
        rate_fps,
        len(rows),
        {name: spread for name, spread in figures.items() if spread},
        {name: spread for name, spread in ratios.items() if spread},
        sum(row["deadline_misses"] for row in rows) / asked if asked else 1.0,
        dict(failures),
    )


def _quotient(value: float | None, by: float | None) -> float | None:
    return value / by if value is not None and by else None


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")
