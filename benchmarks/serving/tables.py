"""The results as Markdown: ratios, the median of the repeats with lowest and highest in brackets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serving.aggregate import Result, Spread
from serving.plan import LIMITS, Cell

Show = Callable[[Result], str]


def load_tables(results: Sequence[Result], deadline_ms: float) -> str:
    """Every kind's tables, one below the other."""
    kinds = list(dict.fromkeys(result.kind for result in results))
    return "\n".join(_of_kind(kind, results, deadline_ms) for kind in kinds)


def _of_kind(kind: str, results: Sequence[Result], deadline_ms: float) -> str:
    own = [result for result in results if result.kind == kind]
    closed = [result for result in own if result.clients]
    camera = [result for result in own if result.rate_fps]
    parts = [f"### {kind}\n", _bare_words(closed)]
    if closed:
        parts += [
            "Frames/s, as a share of the fastest bare loop's:\n",
            _table(closed, lambda r: _spread(r.ratios.get("frames_per_s"))),
            "p50 / p99 in the closed loop, in units of the bare loop's p50 for one picture:\n",
            _table(closed, _latency),
        ]
    if camera:
        parts += [
            "At a camera's cadence: p50 / p99 in the same unit, and the share of frames without a real answer "
            f"within {deadline_ms:g} ms:\n",
            _table(camera, lambda r: f"{_latency(r)}, {r.miss_share:.1%}"),
        ]
    if closed:
        parts += [
            "CPU time a frame, as a multiple of the bare loop's, with RSS (and PSS) of all of a server's processes:\n",
            _table(closed, _cost),
        ]
    return "\n".join(part for part in parts if part)


def _bare_words(closed: Sequence[Result]) -> str:
    """What the ratios are ratios of."""
    words = []
    for name in LIMITS:
        of_loop = [result for result in closed if result.contender == name]
        if of_loop:
            rates = [result.figures["frames_per_s"].median for result in of_loop]
            p50 = min(result.figures["p50_ms"].median for result in of_loop)
            words.append(f"{name} {min(rates):.0f} to {max(rates):.0f} frames/s, p50 {p50:.2f} ms")
    return f"The bare loops: {'; '.join(words)}.\n" if words else ""


def _table(results: Sequence[Result], show: Show) -> str:
    cells = sorted({(result.clients, result.rate_fps) for result in results})
    names = list(dict.fromkeys(result.contender for result in results))
    by_place = {(r.contender, r.clients, r.rate_fps): r for r in results}
    lines = [
        "| | " + " | ".join(Cell(*cell).words for cell in cells) + " |",
        "|---|" + "---|" * len(cells),
    ]
    for name in names:
        found = [by_place.get((name, *cell)) for cell in cells]
        shown = [show(result) + _failed(result) if result else "" for result in found]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _failed(result: Result) -> str:
    """In a closed loop nobody may fail; said where it happened."""
    failed = sum(result.failures.values())
    return f" **({failed} failed)**" if failed and result.clients else ""


def _latency(result: Result) -> str:
    p50, p99 = result.ratios.get("p50_ms"), result.ratios.get("p99_ms")
    return f"{_spread(p50)} / {_spread(p99)}"


def _cost(result: Result) -> str:
    rss, pss = result.figures.get("rss_mb"), result.figures.get("pss_mb")
    memory = f"{rss.median:.0f} ({pss.median:.0f}) MB" if rss and pss else ""
    return f"{_spread(result.ratios.get('cpu_ms_a_frame'))}, {memory}"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"
