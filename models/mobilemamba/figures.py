"""Figures of a report, as matplotlib figures that no window and no global state knows of."""

from __future__ import annotations

import math
import textwrap

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mobilemamba.evaluate import Metrics, shown
from mobilemamba.operating_point import ClassMatches, OperatingPoint

DASHES = ("-", "--", "-.", ":")  # colour is not the only sign
LINE, RUN_LINE = 24, 60  # characters; names of classes may have 64, those of runs are of any length


def _broken(name: str, most: int = LINE) -> str:
    """In lines of so many characters, after hyphens where there are any."""
    return "\n".join(textwrap.wrap(name, most))


def precision_recall_figure(
    names: tuple[str, ...], matches: tuple[ClassMatches, ...], points: tuple[OperatingPoint, ...]
) -> Figure:
    """A curve a class at IoU 0.5, and a dot where the artifact's threshold lies."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    for i, (name, found, point) in enumerate(zip(names, matches, points, strict=True)):
        if found.boxes == 0:
            continue
        hits = found.hits.cumsum()
        recall = hits / found.boxes
        precision = hits / np.arange(1, len(hits) + 1)
        colour, dash = f"C{i}", DASHES[i % len(DASHES)]
        axes.plot(recall, precision, dash, color=colour, label=_broken(f"{name} ({found.boxes})"))
        axes.plot(point.recall, point.precision, "o", color=colour, markeredgecolor="black")
    axes.grid(alpha=0.3)
    if axes.lines:  # a set without boxes has none, of which matplotlib would warn
        axes.legend(title="class (boxes)", fontsize=8)
    axes.set_title("Precision and recall at IoU 0.5; dots: the released thresholds")
    return figure


def precision_figure(metrics: Metrics) -> Figure:
    """AP at IoU 0.5 of each class, and by the size of the true boxes."""
    sizes = {
        "small (< 32² px)": metrics.map50_small,
        "medium (< 96² px)": metrics.map50_medium,
        "large": metrics.map50_large,
    }
    classes = {_broken(name): value for name, value in metrics.ap50.items()}
    lines = sum(1 + name.count("\n") / 2 for name in classes)
    figure = Figure(figsize=(8, 1.2 + 0.3 * max(lines, len(sizes))), layout="constrained")
    for place, (title, values) in enumerate((("by class", classes), ("by size", sizes))):
        axes = figure.add_subplot(
            1, 2, place + 1, title=title, xlim=(0, 1.12), xlabel="AP at IoU 0.5"
        )
        heights = [0.0 if math.isnan(v) else v for v in values.values()]
        bars = axes.barh(list(values), heights, color=f"C{place}")
        axes.bar_label(bars, [shown(v) for v in values.values()], padding=3, fontsize=8)
        axes.invert_yaxis()
    return figure


def curves_figure(curves: dict[str, list[tuple[int, float]]]) -> Figure:
    """mAP50 on validation over epochs, a line for each name."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="mAP50 on validation")
    for i, (name, points) in enumerate(curves.items()):
        epochs, values = zip(*points, strict=True)
        axes.plot(
            epochs,
            values,
            DASHES[i % len(DASHES)],
            marker=".",
            color=f"C{i}",
            label=_broken(name, RUN_LINE),
        )
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title("Learning curves")
    return figure


def confusion_figure(names: tuple[str, ...], table: NDArray[np.int64]) -> Figure:
    """Counts, shaded by the share of their row."""
    labels = [_broken(name) for name in (*names, "nothing")]
    beyond = max(0, max(len(line) for label in labels for line in label.split("\n")) - 12)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(
        figsize=(
            max(3.0, 1.5 + 0.75 * len(labels) + 0.09 * beyond),
            1.2 + 0.65 * len(labels) + 0.07 * beyond,
        ),
        layout="constrained",
    )
    axes = figure.add_subplot(xlabel="reported", ylabel="true")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set_title("What was taken for what")
    return figure


def score_figure(
    names: tuple[str, ...], matches: tuple[ClassMatches, ...], points: tuple[OperatingPoint, ...]
) -> Figure:
    """Scores of hits and of false alarms for each class, with the released threshold."""
    rows = -(-len(names) // 3)
    figure = Figure(figsize=(10, 2.4 * rows), layout="constrained")
    bins = np.linspace(0, 1, 26)
    for i, (name, found, point) in enumerate(zip(names, matches, points, strict=True)):
        scale = "log" if len(found.scores) else "linear"  # no logarithm of nothing: a warning
        axes = figure.add_subplot(rows, 3, i + 1, yscale=scale)
        axes.set_title(_broken(name), fontsize=10)
        axes.hist(found.scores[found.hits], bins, alpha=0.7, label="hits")
        misfires = found.scores[~found.hits]
        axes.hist(misfires, bins, histtype="step", hatch="///", label="false alarms")
        axes.set_ylim(0.5, None if len(found.scores) else 1)
        axes.axvline(point.threshold, color="black", linestyle="--", label="threshold")
        if i == 0:
            axes.legend(fontsize=8)
    figure.suptitle("Scores")
    return figure
