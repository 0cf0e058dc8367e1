"""A page about an artifact on a data set: figures, tables, and pictures of its worst mistakes. HTML and PNG files.

Where the data set's pictures may not go, the page can be made of figures and tables alone.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from flawspec.manifest import ArtifactManifest
from mobilemamba.annotations import printable
from mobilemamba.comparison import Table, ablation_table, curves, peer_table
from mobilemamba.confusion import Mistake, Mistakes, find_mistakes
from mobilemamba.dataset import Dataset
from mobilemamba.evaluate import shown
from mobilemamba.figures import (
    confusion_figure,
    curves_figure,
    precision_figure,
    precision_recall_figure,
    score_figure,
)
from mobilemamba.measured import ArtifactReport
from mobilemamba.operating_point import at_threshold, match

CONFUSION = "confusion.png"
NOTES = {
    CONFUSION: (
        "At the released thresholds. Boxes are paired by where they are (IoU 0.5), best scores first, whatever their "
        "classes; what else is reported of a flaw is a false alarm here. The table above counts each class by itself."
    )
}
WORST = 12
MISSES, FALSE_ALARMS = "misses.png", "false-alarms.png"
TILE_PX, CAPTION_PX = 240, 22
COLOURS = 128
TRUE, REPORTED = "#00b050", "#ff2020"

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:64em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em .8em;text-align:right}th:first-child,td:first-child{text-align:left}"
    "img{max-width:100%}"
)


@dataclass(frozen=True)
class Contents:
    """What a page holds beside the artifact's own figures.

    Attributes:
        mistakes: the worst mistakes, as pictures of the data set.
        ablation: ``ablation.json`` of `mobilemamba ablate`.
        peers: ``result.json`` files of `benchmarks/detectors`.
        curves: ``metrics.jsonl`` files of runs, ours or peers'.
    """

    mistakes: bool = True
    ablation: Path | None = None
    peers: tuple[Path, ...] = ()
    curves: tuple[Path, ...] = ()


def write_report(
    folder: Path,
    manifest: ArtifactManifest,
    dataset: Dataset,
    report: ArtifactReport,
    title: str,
    contents: Contents = Contents(),
) -> Path:
    """Write ``report.html`` and its pictures into `folder`; returns the page's path.

    Without `contents.mistakes` pictures of the data set that an earlier report left there are removed.

    Raises:
        DatasetError: a file that `contents` names is something else.
    """
    names = manifest.labels.names
    name = f"{manifest.model_name} {manifest.model_version}"
    tables = [_classes(manifest, dataset, report)]
    if contents.peers:
        tables.append(peer_table(name, report.metrics, contents.peers))
    if contents.ablation is not None:
        tables.append(ablation_table(contents.ablation))
    mistakes = find_mistakes(dataset, report.detections, manifest.score_thresholds)
    figures = _figures(manifest, dataset, report, mistakes)
    if lines := curves(contents.curves):
        figures["curves.png"] = ("Learning curves", lambda: curves_figure(lines))
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, (_, draw) in figures.items():
        _keep(draw(), folder / file_name)
    sections = [_picture(head, file, NOTES.get(file, "")) for file, (head, _) in figures.items()]
    if contents.mistakes:
        sections += _mistakes(folder, names, mistakes)
    else:  # who publishes the folder must not publish those of an earlier report with it
        for file_name in (MISSES, FALSE_ALARMS):
            (folder / file_name).unlink(missing_ok=True)
    sections[1:1] = [_html_table(table) for table in tables]
    path = folder / "report.html"
    path.write_text(_page(name, title, report, sections), "utf-8")
    return path


def _figures(
    manifest: ArtifactManifest, dataset: Dataset, report: ArtifactReport, mistakes: Mistakes
) -> dict[str, tuple[str, Callable[[], Figure]]]:
    """By file: heading, and what draws it."""
    names = manifest.labels.names
    matches = match(dataset, report.detections)
    points = tuple(
        at_threshold(m, t) for m, t in zip(matches, manifest.score_thresholds, strict=True)
    )
    return {
        "precision.png": ("Average precision", lambda: precision_figure(report.metrics)),
        "precision-recall.png": (
            "Precision and recall",
            lambda: precision_recall_figure(names, matches, points),
        ),
        CONFUSION: ("Confusion", lambda: confusion_figure(names, mistakes.table)),
        "scores.png": ("Scores", lambda: score_figure(names, matches, points)),
    }


def _classes(manifest: ArtifactManifest, dataset: Dataset, report: ArtifactReport) -> Table:
    found = zip(
        manifest.labels.names,
        match(dataset, report.detections),
        manifest.score_thresholds,
        strict=True,
    )
    rows = []
    for name, matches, threshold in found:
        p = at_threshold(matches, threshold)
        values = (report.metrics.ap50[name], p.threshold, p.precision, p.recall)
        rows.append((name, str(matches.boxes), *map(shown, values)))
    columns = ("class", "boxes", "AP50", "threshold", "precision", "recall")
    return Table("Classes", "At the released thresholds, IoU 0.5.", columns, tuple(rows))


def _mistakes(folder: Path, names: tuple[str, ...], mistakes: Mistakes) -> list[str]:
    misses, alarms = mistakes.misses[:WORST], mistakes.false_alarms[:WORST]
    sheet(misses, names, TRUE).save(folder / MISSES)
    sheet(alarms, names, REPORTED).save(folder / FALSE_ALARMS)
    return [
        _picture(
            f"Worst misses ({len(mistakes.misses)} in all)",
            MISSES,
            "Thick green: the flaw that was missed. The figure is the best score that overlapped it.",
        ),
        _listed(misses, names),
        _picture(
            f"Worst false alarms ({len(mistakes.false_alarms)} in all)",
            FALSE_ALARMS,
            "Thick red: what was reported. Thin green: the true boxes.",
        ),
        _listed(alarms, names),
    ]


def _listed(mistakes: tuple[Mistake, ...], names: tuple[str, ...]) -> str:
    """In the page and not in the sheet: names of files are of any length and script, and are to be copied."""
    lines = (
        f"{names[m.class_id]} {m.score:.2f}: {html.escape(printable(m.sample.name))}"
        for m in mistakes
    )
    return "<ol>" + "".join(f"<li>{line}</li>" for line in lines) + "</ol>"


def sheet(mistakes: tuple[Mistake, ...], names: tuple[str, ...], colour: str) -> Image.Image:
    """The pictures of `mistakes` in rows of four, the box in question in `colour`, other true boxes thin green.

    Each has its number, its score, and as much of its class as there is room for.
    """
    columns, height = 4, TILE_PX + CAPTION_PX
    rows = max(1, -(-len(mistakes) // columns))
    page = Image.new("RGB", (columns * TILE_PX, rows * height), "white")
    for index, mistake in enumerate(mistakes):
        left, top = (index % columns) * TILE_PX, (index // columns) * height
        page.paste(_tile(mistake, colour), (left, top))
        caption = Image.new("RGB", (TILE_PX - 4, CAPTION_PX), "white")
        words = f"{index + 1}.  {mistake.score:.2f} {names[mistake.class_id]}"
        ImageDraw.Draw(caption).text((4, 4), words, fill="black")
        page.paste(caption, (left, top + TILE_PX))
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


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(c)}</th>" for c in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in table.rows
    )
    return (
        f"<h2>{html.escape(table.heading)}</h2><p>{html.escape(table.note)}</p>\n"
        f"<table><tr>{head}</tr>{body}</table>"
    )


def _keep(figure: Figure, path: Path) -> None:
    """In few colours, as a figure has: a third of the bytes, for pages that are published."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    few = Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _picture(heading: str, file_name: str, note: str = "") -> str:
    title = html.escape(heading)
    words = f"<p>{html.escape(note)}</p>" if note else ""
    return f'<h2>{title}</h2>{words}\n<img src="{file_name}" alt="{title}">'


def _page(name: str, title: str, report: ArtifactReport, sections: list[str]) -> str:
    m = report.metrics
    heading = html.escape(name)
    by_size = f"small {shown(m.map50_small)}, medium {shown(m.map50_medium)}, large {shown(m.map50_large)}"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{heading}</title><style>{STYLE}</style>\n'
        f"<h1>{heading}</h1>\n<p>On {html.escape(title)}: mAP50 <b>{shown(m.map50)}</b>, "
        f"mAP50-95 {shown(m.map50_95)};\nmAP50 by box area: {by_size}.</p>\n"
        + "\n".join(sections)
        + "\n</html>\n"
    )
