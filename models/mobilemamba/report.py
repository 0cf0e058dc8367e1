"""A page about an artifact on a data set: figures, and pictures of its worst mistakes. HTML with PNG files beside it.

The page shows pictures of the data set, so it goes where those may go.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from flawspec.manifest import ArtifactManifest
from mobilemamba.confusion import Mistake, find_mistakes
from mobilemamba.dataset import Dataset
from mobilemamba.evaluate import Metrics
from mobilemamba.figures import confusion_figure, precision_recall_figure, score_figure
from mobilemamba.operating_point import at_threshold, match
from mobilemamba.release import ArtifactReport

WORST = 12
TILE_PX = 240
TRUE, REPORTED = "#00b050", "#ff2020"

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:64em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em .8em;text-align:right}th:first-child,td:first-child{text-align:left}"
    "img{max-width:100%}"
)


def write_report(
    folder: Path, manifest: ArtifactManifest, dataset: Dataset, report: ArtifactReport, title: str
) -> Path:
    """Write ``report.html`` and its pictures into `folder`; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    names = manifest.labels.names
    matches = match(dataset, report.detections)
    points = tuple(
        at_threshold(m, t) for m, t in zip(matches, manifest.score_thresholds, strict=True)
    )
    mistakes = find_mistakes(dataset, report.detections, manifest.score_thresholds)
    figures: dict[str, Callable[[], Figure]] = {
        "precision-recall.png": lambda: precision_recall_figure(names, matches, points),
        "confusion.png": lambda: confusion_figure(names, mistakes.table),
        "scores.png": lambda: score_figure(names, matches, points),
    }
    for name, draw in figures.items():
        draw().savefig(folder / name, dpi=110)
    sheet(mistakes.misses[:WORST], names, TRUE).save(folder / "misses.png")
    sheet(mistakes.false_alarms[:WORST], names, REPORTED).save(folder / "false-alarms.png")
    rows = [
        (
            name,
            str(m.boxes),
            *(f"{v:.3f}" for v in (report.metrics.ap50[name], p.threshold, p.precision, p.recall)),
        )
        for name, m, p in zip(names, matches, points, strict=True)
    ]
    text = _page(
        manifest, title, report.metrics, rows, (len(mistakes.misses), len(mistakes.false_alarms))
    )
    path = folder / "report.html"
    path.write_text(text, "utf-8")
    return path


def sheet(mistakes: tuple[Mistake, ...], names: tuple[str, ...], colour: str) -> Image.Image:
    """The pictures of `mistakes` in rows of four, the box in question in `colour`, other true boxes thin green."""
    columns = 4
    rows = max(1, -(-len(mistakes) // columns))
    page = Image.new("RGB", (columns * TILE_PX, rows * (TILE_PX + 22)), "white")
    for index, mistake in enumerate(mistakes):
        tile = _tile(mistake, colour)
        left, top = (index % columns) * TILE_PX, (index // columns) * (TILE_PX + 22)
        page.paste(tile, (left, top))
        caption = f"{names[mistake.class_id]} {mistake.score:.2f}  {mistake.sample.name}"
        ImageDraw.Draw(page).text((left + 4, top + TILE_PX + 4), caption, fill="black")
    return page


def _tile(mistake: Mistake, colour: str) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(mistake.sample.grey)).convert("RGB")
    scale = min((TILE_PX - 4) / picture.width, (TILE_PX - 4) / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    tile = picture.resize(size, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(tile)
    for box in mistake.sample.boxes_xyxy:
        pen.rectangle([float(v) * scale for v in box], outline=TRUE, width=1)
    pen.rectangle([float(v) * scale for v in mistake.box_xyxy], outline=colour, width=3)
    return tile


def _page(
    manifest: ArtifactManifest,
    title: str,
    metrics: Metrics,
    rows: list[tuple[str, ...]],
    mistakes: tuple[int, int],
) -> str:
    head = "".join(
        f"<th>{h}</th>" for h in ("class", "boxes", "AP50", "threshold", "precision", "recall")
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in r) + "</tr>" for r in rows
    )
    name = html.escape(f"{manifest.model_name} {manifest.model_version}")
    by_size = f"small {metrics.map50_small:.3f}, medium {metrics.map50_medium:.3f}, large {metrics.map50_large:.3f}"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style>
<h1>{name}</h1>
<p>On {html.escape(title)}: mAP50 <b>{metrics.map50:.3f}</b>, mAP50-95 {metrics.map50_95:.3f};
mAP50 by box area: {by_size}.</p>
<table><tr>{head}</tr>{body}</table>
<h2>Precision and recall</h2><img src="precision-recall.png" alt="Precision over recall for each class">
<h2>Confusion</h2><img src="confusion.png" alt="True class by reported class">
<h2>Scores</h2><img src="scores.png" alt="Histograms of scores of hits and false alarms">
<h2>Worst misses ({mistakes[0]} in all)</h2>
<p>Thick green: the flaw that was missed. The figure is the best score that overlapped it.</p>
<img src="misses.png" alt="Pictures of missed flaws">
<h2>Worst false alarms ({mistakes[1]} in all)</h2>
<p>Thick red: what was reported. Thin green: the true boxes.</p>
<img src="false-alarms.png" alt="Pictures of false alarms">
</html>
"""
