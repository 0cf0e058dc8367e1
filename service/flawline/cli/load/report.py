"""What a load test prints: a few lines for people, or one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from flawline.core.load import LoadFigures


@dataclass(frozen=True, slots=True)
class LoadTest:
    """What was done. protocol: `rest`, `grpc` or `grpc-stream`; rate: frames/s, None in a closed loop."""

    target: str
    protocol: str
    rate: float | None
    callers: int
    deadline_ms: int
    line: str | None
    warm_up_s: float
    pictures: int
    source: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of it. cpu_share: of one core that the generator used; unmet: objectives not kept."""

    figures: LoadFigures
    cpu_share: float
    doubts: tuple[str, ...]
    unmet: tuple[str, ...]
    interrupted: bool


def json_document(test: LoadTest, result: LoadResult) -> str:
    """All of it; names as in docs/tuning.md."""
    figures = result.figures
    return json.dumps(
        {
            "target": test.target,
            "protocol": test.protocol,
            "loop": "closed" if test.rate is None else "open",
            "rate_per_s": test.rate,
            "callers": test.callers,
            "deadline_ms": test.deadline_ms,
            "line": test.line,
            "warm_up_s": test.warm_up_s,
            "pictures": {"count": test.pictures, "source": test.source},
            "interrupted": result.interrupted,
            "seconds": round(figures.seconds, 3),
            "frames": {
                "sent": figures.sent,
                "answered": figures.answered,
                "refused": sum(figures.refused.values()),
                "errors": sum(figures.errors.values()),
            },
            "frames_per_s": round(figures.frames_per_s, 2),
            "latency_ms": {
                name: _rounded(getattr(figures, f"{name}_ms"))
                for name in ("p50", "p95", "p99", "max")
            },
            "verdicts": figures.verdicts,
            "undefined": figures.undefined,
            "late": figures.late,
            "misses": figures.misses,
            "refused": figures.refused,
            "errors": figures.errors,
            "generator": {
                "lag_p99_ms": _rounded(figures.lag_p99_ms),
                "cpu_share": round(result.cpu_share, 3),
            },
            "doubts": result.doubts,
            "unmet": result.unmet,
        }
    )


def text_lines(test: LoadTest, result: LoadResult) -> list[str]:
    """The same for people."""
    figures = result.figures
    lines = [
        f"{test.target} ({test.protocol}), {load_words(test)}, {test.source}",
        _row(
            "frames",
            f"{figures.sent} sent = {figures.answered} answered + {sum(figures.refused.values())} "
            f"refused + {sum(figures.errors.values())} errors, in {figures.seconds:.1f} s",
        ),
        _row("throughput", f"{figures.frames_per_s:.1f} frames/s with a verdict"),
        _row("latency", _latency_words(test, figures)),
        _row("verdicts", _counted(figures.verdicts)),
        _row("missed", _miss_words(test, figures)),
        _row("refused", _counted(figures.refused)),
        _row("errors", _counted(figures.errors)),
        _row("generator", _generator_words(result)),
    ]
    if result.interrupted:
        lines.append("Interrupted: these are the figures so far.")
    return lines


def load_words(test: LoadTest) -> str:
    """`50 frames/s` or `8 callers`."""
    if test.rate is None:
        return f"closed loop of {test.callers} callers"
    dealt = f" over {test.callers} streams" if test.callers > 1 else ""
    return f"open loop at {test.rate:g} frames/s{dealt}"


def _row(name: str, words: str) -> str:
    return f"  {name:<11} {words}"


def _latency_words(test: LoadTest, figures: LoadFigures) -> str:
    if figures.p50_ms is None:
        return "no frame was answered"
    since = "was sent" if test.rate is None else "was due"
    return (
        f"p50 {figures.p50_ms:.1f}   p95 {figures.p95_ms:.1f}   p99 {figures.p99_ms:.1f}   "
        f"max {figures.max_ms:.1f} ms, from when a frame {since}"
    )


def _miss_words(test: LoadTest, figures: LoadFigures) -> str:
    why = f" ({_counted(figures.undefined)})" if figures.undefined else ""
    undefined = f"{sum(figures.undefined.values())} Undefined{why}"
    return f"{undefined}, {figures.late} later than the deadline of {test.deadline_ms} ms"


def _generator_words(result: LoadResult) -> str:
    lag_ms = result.figures.lag_p99_ms
    late = "" if lag_ms is None else f"late by {lag_ms:.1f} ms (p99), "
    return f"{late}{result.cpu_share:.0%} of one core"


def _counted(words: Mapping[str, int], none: str = "0") -> str:
    return "   ".join(f"{word} {count}" for word, count in words.items()) or none


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
