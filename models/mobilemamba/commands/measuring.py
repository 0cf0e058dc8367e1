"""evaluate, report and info: what an artifact is worth."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flawspec.artifact import read_manifest, verify
from flawspec.manifest import ArtifactManifest
from mobilemamba.annotations import printable
from mobilemamba.commands.arguments import (
    ANNOTATIONS,
    ANNOTATIONS_HELP,
    EXISTING_FILE,
    FOLDER,
    say_copies,
    say_what_it_learned,
    work_lines,
)
from mobilemamba.complexity import complexity, onnx_times_ms
from mobilemamba.dataset import load_dataset
from mobilemamba.detector import SIZES, build_detector
from mobilemamba.evaluate import shown
from mobilemamba.measured import ArtifactReport, evaluate_artifact, evaluate_samples
from mobilemamba.operating_point import ClassMatches, at_threshold, false_alarm_pictures, match
from mobilemamba.strict_json import to_json
from mobilemamba.trained_on import further_of

SEEN = "figures on these pictures promise nothing for others"
PLAIN_SCORE = 0.25  # what detectors are commonly shown at


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--coco", type=ANNOTATIONS, required=True, help=f"{ANNOTATIONS_HELP}.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option(
    "--clean", type=FOLDER, help="Folder of further pictures without flaws, for false alarms."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def evaluate(artifact: Path, coco: Path, images: Path, clean: Path | None, as_json: bool) -> None:
    """Measure ARTIFACT on a data set, in ONNX Runtime, exactly as it is served."""
    digest = verify(artifact, None)
    manifest = read_manifest(artifact)
    watch = work_lines()
    dataset = load_dataset(coco, images, manifest.labels, watch)
    sets, further = [(coco, dataset)], ()
    if clean is not None:
        sets.append((clean, load_dataset(None, clean, manifest.labels, watch)))
        further = further_of(sets[1][1].samples, dataset.samples)
        say_copies(len(sets[1][1].samples) - len(further))
    say_what_it_learned(artifact, manifest, sets, SEEN)
    report = evaluate_artifact(artifact, manifest, dataset, watch)
    in_further = evaluate_samples(artifact, manifest, further, watch) if further else []
    matches = match(dataset, report.detections)
    points = [at_threshold(m, t) for m, t in zip(matches, manifest.score_thresholds, strict=True)]
    overall = _overall(matches, manifest.score_thresholds)
    alarms, count = false_alarm_pictures(
        (*dataset.samples, *further), report.detections + in_further, manifest.score_thresholds
    )
    if count:
        overall |= {"clean_pictures": count, "clean_pictures_reported": alarms}
    if as_json:
        named = dict(zip(manifest.labels.names, map(dataclasses.asdict, points), strict=True))
        document = {
            "artifact": _named(manifest, digest),
            "pictures": len(dataset.samples),
            "boxes": sum(m.boxes for m in matches),
            **dataclasses.asdict(report.metrics),
            "operating_points": named,
            "overall": overall,
        }
        click.echo(to_json(document))
        return
    _print_report(
        report,
        [(n, m.boxes, p) for n, m, p in zip(manifest.labels.names, matches, points, strict=True)],
    )
    click.echo(
        ", ".join(
            f"{name.replace('_', ' ')} {shown(value, '.4g')}" for name, value in overall.items()
        )
    )


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--coco", type=ANNOTATIONS, required=True, help=f"{ANNOTATIONS_HELP}.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=FOLDER, required=True, help="Folder for report.html and its pictures.")
@click.option(
    "--figures-only",
    is_flag=True,
    help="No pictures of the data set, also none of an earlier report: a page that may be published.",
)
@click.option("--ablation", type=EXISTING_FILE, help="ablation.json of `ablate`.")
@click.option("--peer", "peers", type=EXISTING_FILE, multiple=True, help="A peer's result.json.")
@click.option("--curve", "curves", type=EXISTING_FILE, multiple=True, help="A run's metrics.jsonl.")
def report(
    artifact: Path,
    coco: Path,
    images: Path,
    out: Path,
    figures_only: bool,
    ablation: Path | None,
    peers: tuple[Path, ...],
    curves: tuple[Path, ...],
) -> None:
    """A page about ARTIFACT on a data set: curves, confusion, scores, tables, and its worst mistakes as pictures."""
    # draws with matplotlib, which takes a second to import
    from mobilemamba.report import Contents, write_report

    verify(artifact, None)
    manifest = read_manifest(artifact)
    watch = work_lines()
    dataset = load_dataset(coco, images, manifest.labels, watch)
    say_what_it_learned(artifact, manifest, [(coco, dataset)], SEEN)
    found = evaluate_artifact(artifact, manifest, dataset, watch)
    contents = Contents(not figures_only, ablation, peers, curves)
    title = printable(coco.resolve().name)
    click.echo(write_report(out, manifest, dataset, found, title, contents))


@click.command()
@click.argument("artifact", type=EXISTING_FILE, required=False)
@click.option(
    "--time", "timed", is_flag=True, help="Also time each size in ONNX Runtime, one thread."
)
def info(artifact: Path | None, timed: bool) -> None:
    """What ARTIFACT says about itself; without one, how large the network sizes are."""
    if artifact is not None:
        digest = verify(artifact, None)
        content = json.loads(read_manifest(artifact).to_json())
        click.echo(json.dumps({"sha256": digest, **content}, indent=2))
        return
    detectors = [build_detector(size, classes=6) for size in SIZES]
    times = onnx_times_ms(detectors, 256, 256) if timed else []
    table = Table("size", "parameters", "GFLOP at 256x256", *(["ONNX, 1 thread"] if timed else []))
    for place, (size, detector) in enumerate(zip(SIZES, detectors, strict=True)):
        found = complexity(detector, 256, 256)
        row = [size, f"{found.parameters:,}", f"{found.flop / 1e9:.3f}"]
        if timed:
            row.append(
                f"{times[place]:.1f} ms ({times[place] / times[0]:.2f} of {next(iter(SIZES))})"
            )
        table.add_row(*row)
    Console().print(table)


def _named(manifest: ArtifactManifest, sha256: str) -> dict[str, str]:
    return {"name": manifest.model_name, "version": manifest.model_version, "sha256": sha256}


def _overall(matches: tuple[ClassMatches, ...], thresholds: tuple[float, ...]) -> dict[str, float]:
    """Share of all true boxes found (IoU 0.5) at the artifact's thresholds, and at one score for every class."""
    boxes = sum(m.boxes for m in matches)
    hits = sum(int(m.hits[m.scores >= t].sum()) for m, t in zip(matches, thresholds, strict=True))
    reported = sum(int((m.scores >= t).sum()) for m, t in zip(matches, thresholds, strict=True))
    plain = sum(int(m.hits[m.scores >= PLAIN_SCORE].sum()) for m in matches)
    return {
        "box_recall": hits / boxes if boxes else math.nan,
        "box_precision": hits / reported if reported else 1.0,
        f"box_recall_at_{PLAIN_SCORE:g}": plain / boxes if boxes else math.nan,
    }


def _print_report(report: ArtifactReport, rows: list[tuple[str, int, object]]) -> None:
    m = report.metrics
    table = Table("class", "boxes", "AP50", "threshold", "precision", "recall")
    for name, boxes, point in rows:
        values = dataclasses.astuple(point)  # type: ignore[call-overload]
        table.add_row(escape(name), str(boxes), shown(m.ap50[name]), *map(shown, values))
    console = Console()
    console.print(table)
    console.print(
        f"mAP50 {shown(m.map50, '.4f')}   mAP50-95 {shown(m.map50_95, '.4f')}   mAP50 small {shown(m.map50_small)}, "
        f"medium {shown(m.map50_medium)}, large {shown(m.map50_large)}"
    )
