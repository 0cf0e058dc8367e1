"""The results as pictures: throughput over clients, latency at a camera's cadence, CPU time a frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from serving.aggregate import Result


def draw_plots(results: Sequence[Result], folder: Path) -> list[Path]:
    """One SVG a kind of pictures."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same results give the same file.
    mpl.rcParams["svg.hashsalt"] = "flawline"
    # Letters as letters: drawn, they were half of the file.
    mpl.rcParams["svg.fonttype"] = "none"
    kinds = list(dict.fromkeys(result.kind for result in results))
    return [_draw(kind, [r for r in results if r.kind == kind], folder) for kind in kinds]


def _draw(kind: str, results: list[Result], folder: Path) -> Path:
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(r.contender for r in results))
    cadences = {r.rate_fps for r in results if r.rate_fps}
    figure, (rate, latency, cost) = plt.subplots(3, 1, figsize=(9, 15), layout="constrained")
    for number, name in enumerate(names):
        own = [r for r in results if r.contender == name]
        style = {"label": name, "color": f"C{number % 10}", "linestyle": _line(name, number)}
        closed = sorted((r for r in own if r.clients), key=lambda r: r.clients)
        camera = sorted((r for r in own if r.rate_fps), key=lambda r: r.rate_fps)
        _curve(rate, closed, "frames_per_s", [r.clients for r in closed], style)
        if len(cadences) > 1:
            _curve(latency, camera, "p99_ms", [r.rate_fps for r in camera], style)
        _curve(cost, closed, "cpu_ms_a_frame", [r.clients for r in closed], style)
    rate.set(title=f"{kind}: frames/s in the closed loop", ylabel="share of the bare loop's")
    unit = "times the bare loop's p50 for one picture"
    if len(cadences) == 1:
        latency.set(title=f"p99 at {cadences.pop():g} frames/s", xlabel=unit)
        _rows(latency, [r for r in results if r.rate_fps], "p99_ms", names)
    else:
        latency.set(title="p99 at a camera's cadence", xlabel="frames/s", ylabel=unit)
        latency.set_yscale("log")
    cost.set(title="CPU time a frame", ylabel="times the bare loop's")
    for axes in (rate, cost):
        axes.set_xlabel("clients")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
    for axes in (rate, latency, cost):
        axes.grid(alpha=0.3)
    rate.axhline(1, color="grey", linewidth=0.8)
    figure.legend(*rate.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    path = folder / f"{kind}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    path.write_text(_rounded(path.read_text("utf-8")), "utf-8")
    return path


def _rounded(svg: str) -> str:
    """To hundredths of a point: matplotlib writes millionths, which are a sixth of the file."""
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", svg)


def _line(name: str, number: int) -> str:
    if name.startswith("limit"):
        return ":"
    return "-" if name.startswith("flawline") else ("--", "-.")[number // 10 % 2]


def _curve(
    axes: object, results: list[Result], ratio: str, places: list[float], style: dict[str, str]
) -> None:
    """The medians as a line, with the spread behind."""
    there = [
        (x, r.ratios[ratio]) for x, r in zip(places, results, strict=True) if ratio in r.ratios
    ]
    if not there:
        return
    xs = [x for x, _ in there]
    axes.plot(xs, [s.median for _, s in there], marker="o", markersize=3, **style)  # type: ignore[attr-defined]
    axes.fill_between(  # type: ignore[attr-defined]
        xs, [s.low for _, s in there], [s.high for _, s in there], color=style["color"], alpha=0.12
    )


def _rows(axes: object, results: list[Result], ratio: str, names: list[str]) -> None:
    """A row for each who was measured, the median with its spread: a curve would have one place."""
    there = [r for r in results if ratio in r.ratios]
    there.sort(key=lambda r: r.ratios[ratio].median, reverse=True)
    for row, result in enumerate(there):
        spread = result.ratios[ratio]
        below, above = spread.median - spread.low, spread.high - spread.median
        colour = f"C{names.index(result.contender) % 10}"
        axes.errorbar(  # type: ignore[attr-defined]
            spread.median, row, xerr=[[below], [above]], fmt="o", capsize=3, color=colour
        )
    axes.set_yticks(range(len(there)), [r.contender for r in there])  # type: ignore[attr-defined]
