"""Draws the dashboards with the figures of a Prometheus, as PNG.

    python docker/grafana/preview.py --prometheus http://127.0.0.1:9090 --to FOLDER

A sketch for people without a Grafana at hand: where panels lie, what they hold, how large words are.
It is not how Grafana draws them. Needs matplotlib (extra `train`).
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

DASHBOARDS = Path(__file__).parent / "dashboards"
COLUMNS, CELL_PX, DPI = 24, (70, 38), 100
SPAN_S, STEPS = 900, 120
COLORS = {
    "green": "#56a64b",
    "red": "#e02f44",
    "orange": "#ff780a",
    "blue": "#3274d9",
    "purple": "#8f3bb8",
}

Panel = dict[str, Any]
Series = tuple[str, list[float], list[float]]


class Prometheus:
    """Answers the queries of panels; `lines`: what the variable of that name stands for."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.now_s = time.time()

    def lines(self) -> list[str]:
        """The declared ones."""
        found = self._ask("query", query="flawline_line_silent_seconds")
        return sorted({sample["metric"]["line"] for sample in found})

    def series(self, target: dict[str, Any], line: str) -> Iterator[Series]:
        """Legend, moments in seconds before now, values."""
        query = target["expr"].replace("$line", line).replace("$__rate_interval", "1m")
        window = {"start": self.now_s - SPAN_S, "end": self.now_s, "step": SPAN_S / STEPS}
        for found in self._ask("query_range", query=query, **window):
            legend = target.get("legendFormat") or " ".join(
                f"{name}={value[:24]}"
                for name, value in found["metric"].items()
                if name != "__name__"
            )
            for name, value in found["metric"].items():
                legend = legend.replace(f"{{{{{name}}}}}", value)
            moments, values = zip(*found["values"], strict=True)
            yield legend, [at - self.now_s for at in moments], [float(value) for value in values]

    def _ask(self, path: str, **query: Any) -> list[dict[str, Any]]:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - given by who runs this
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result


def laid_out(panels: list[Panel], lines: list[str]) -> Iterator[tuple[Panel, int, str]]:
    """Each panel with the row of cells where it begins, and the line it is for; repeated rows repeated."""
    chapters: list[list[Panel]] = []
    for panel in panels:
        if panel["type"] == "row":
            chapters.append([])
        chapters[-1].append(panel)
    top = 0
    for chapter in chapters:
        first = chapter[0]["gridPos"]["y"]
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in chapter) - first
        for line in lines if chapter[0].get("repeat") else ["|".join(lines)]:
            for panel in chapter:
                yield panel, top + panel["gridPos"]["y"] - first, line
            top += height


def shown(panel: Panel, value: float) -> tuple[str, str | None]:
    """The text of a value, and its colour if its words have one."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings", ()):
        options = mapping["options"]
        result = options.get(f"{value:g}") if mapping["type"] == "value" else None
        if mapping["type"] == "range" and options["from"] <= value <= options["to"]:
            result = options["result"]
        if result:
            return result["text"], COLORS[result["color"]]
    if defaults.get("unit") == "percentunit":
        return f"{value:.1%}", None
    if "decimals" in defaults:
        return f"{value:.{defaults['decimals']}f}", None
    unit = {"s": " s", "bytes": " B"}.get(defaults.get("unit"), "")
    return f"{value:.{3 if value % 1 else 12}g}{unit}", None


def draw(axes: Axes, panel: Panel, found: list[Series]) -> None:
    """One panel's inside."""
    kind = panel["type"]
    if kind == "timeseries":
        for legend, at, values in found:
            axes.plot(at, values, label=f"{legend}: {shown(panel, values[-1])[0]}")
        axes.legend(fontsize=6, loc="upper left", framealpha=0.4)
        return
    if kind == "heatmap":
        rows = sorted(found, key=lambda one: float(one[0].replace("+Inf", "inf")))
        last = [values[-1] for _, _, values in rows]
        axes.bar(
            [legend for legend, *_ in rows], [b - a for a, b in zip([0, *last], last, strict=False)]
        )
        return
    axes.set_xticks([])
    if kind == "bargauge":
        axes.barh([legend for legend, *_ in found], [values[-1] for *_, values in found])
        return
    axes.set_yticks([])
    if kind == "table":
        text = "\n".join(legend for legend, *_ in found) or "none"
        axes.text(0.01, 0.95, text, fontsize=7, va="top", transform=axes.transAxes)
        return
    text, color = panel["fieldConfig"]["defaults"]["noValue"], None
    if found:
        text, color = shown(panel, found[0][2][-1])
    axes.set_facecolor(color or axes.get_facecolor())
    sizes = panel["options"]["text"]
    name = found[0][0] if found else ""
    for height, words, size in ((0.78, name, sizes["titleSize"]), (0.38, text, sizes["valueSize"])):
        looks = {"fontsize": size * 72 / DPI, "ha": "center", "va": "center"}
        axes.text(0.5, height, words, transform=axes.transAxes, **looks)


def sketch(path: Path, prometheus: Prometheus, to: Path) -> None:
    """One dashboard as a picture."""
    dashboard = json.loads(path.read_text("utf-8"))
    places = list(laid_out(dashboard["panels"], prometheus.lines()))
    bottom = max(top + panel["gridPos"]["h"] for panel, top, _ in places)
    width, height = COLUMNS * CELL_PX[0] / DPI, bottom * CELL_PX[1] / DPI
    figure = plt.figure(figsize=(width, height), dpi=DPI)
    for panel, top, line in places:
        place = panel["gridPos"]
        left, under = place["x"] / COLUMNS, 1 - (top + place["h"]) / bottom
        if panel["type"] == "row":
            figure.text(
                left + 0.005,
                under + 0.2 / bottom,
                panel["title"].replace("$line", line),
                fontsize=12,
            )
            continue
        inside = (
            left + 0.022,
            under + 1.1 / bottom,
            place["w"] / COLUMNS - 0.028,
            (place["h"] - 2.1) / bottom,
        )
        axes = figure.add_axes(inside)
        axes.set_title(panel["title"], fontsize=9, loc="left")
        axes.tick_params(labelsize=6)
        draw(
            axes,
            panel,
            [one for target in panel["targets"] for one in prometheus.series(target, line)],
        )
    figure.savefig(to / f"{path.stem}.png")
    plt.close(figure)


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    mpl.use("agg")
    plt.style.use("dark_background")
    for path in sorted(DASHBOARDS.glob("*.json")):
        sketch(path, Prometheus(arguments.prometheus), arguments.to)
        print(arguments.to / f"{path.stem}.png")


if __name__ == "__main__":
    main()
