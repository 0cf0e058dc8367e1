"""evaluate, report, calibrate and info: what an artifact is worth."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from flawspec.artifact import read_manifest, verify
from mobilemamba.calibrate import Promise
from mobilemamba.calibrate import calibrate as find_thresholds
from mobilemamba.commands.arguments import EXISTING_FILE, FOLDER, OPEN_SHARE
from mobilemamba.complexity import complexity, onnx_times_ms
from mobilemamba.dataset import load_clean, load_dataset
from mobilemamba.detector import SIZES, build_detector
from mobilemamba.evaluate import Detections
from mobilemamba.operating_point import at_threshold, match
from mobilemamba.release import ArtifactReport, evaluate_artifact, evaluate_samples, rewrite


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--coco", type=EXISTING_FILE, required=True, help="Annotations, COCO JSON.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def evaluate(artifact: Path, coco: Path, images: Path, as_json: bool) -> None:
    """Measure ARTIFACT on a data set, in ONNX Runtime, exactly as it is served."""
    digest = verify(artifact, None)
    manifest = read_manifest(artifact)
    dataset = load_dataset(coco, images, labels=manifest.labels)
    report = evaluate_artifact(artifact, manifest, dataset)
    matches = match(dataset, report.detections)
    points = [at_threshold(m, t) for m, t in zip(matches, manifest.score_thresholds, strict=True)]
    if as_json:
        document = {
            "artifact": {
                "name": manifest.model_name,
                "version": manifest.model_version,
                "sha256": digest,
            },
            "pictures": len(dataset.samples),
            "boxes": sum(m.boxes for m in matches),
            **dataclasses.asdict(report.metrics),
            "operating_points": {
                name: dataclasses.asdict(p)
                for name, p in zip(manifest.labels.names, points, strict=True)
            },
        }
        click.echo(json.dumps(_without_nan(document)))
        return
    _print_report(
        report,
        [(n, m.boxes, p) for n, m, p in zip(manifest.labels.names, matches, points, strict=True)],
    )


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--coco", type=EXISTING_FILE, required=True, help="Annotations, COCO JSON.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=FOLDER, required=True, help="Folder for report.html and its pictures.")
def report(artifact: Path, coco: Path, images: Path, out: Path) -> None:
    """A page about ARTIFACT on a data set: curves, confusion, scores, and its worst mistakes as pictures."""
    from mobilemamba.report import (
        write_report,
    )  # draws with matplotlib, which takes a second to import

    verify(artifact, None)
    manifest = read_manifest(artifact)
    dataset = load_dataset(coco, images, labels=manifest.labels)
    found = evaluate_artifact(artifact, manifest, dataset)
    click.echo(write_report(out, manifest, dataset, found, coco.name))


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--coco", type=EXISTING_FILE, required=True, help="Annotations, COCO JSON.")
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--clean", type=FOLDER, help="Folder of further pictures without flaws.")
@click.option(
    "--escape-rate",
    type=OPEN_SHARE,
    required=True,
    help="Promised share of defective pictures passed.",
)
@click.option(
    "--confidence", type=OPEN_SHARE, default=0.95, show_default=True, help="Of the promise."
)
@click.option("--out", type=FOLDER, help="Also write the artifact with these thresholds here.")
@click.option("--version", help="Version of the artifact that --out writes.")
def calibrate(
    artifact: Path,
    coco: Path,
    images: Path,
    clean: Path | None,
    escape_rate: float,
    confidence: float,
    out: Path | None,
    version: str | None,
) -> None:
    """Thresholds for a promised escape rate, from labelled pictures that ARTIFACT was not trained on.

    Prints JSON: thresholds by class, escapes and false rejects with their bounds.
    """
    if (out is None) != (version is None):
        raise click.UsageError("--out and --version belong together")
    verify(artifact, None)
    manifest = read_manifest(artifact)
    dataset = load_dataset(coco, images, labels=manifest.labels)
    more = load_clean(clean) if clean is not None else ()
    pictures = (*dataset.samples, *more)
    found = evaluate_samples(artifact, manifest, pictures)
    by_kind: tuple[list[Detections], list[Detections]] = ([], [])
    for sample, detections in zip(pictures, found, strict=True):
        by_kind[len(sample.class_ids) == 0].append(detections)
    promise = Promise(escape_rate, confidence)
    result = find_thresholds(*by_kind, manifest.score_thresholds, promise)
    document = dataclasses.asdict(promise) | dataclasses.asdict(result)
    document["thresholds"] = dict(zip(manifest.labels.names, result.thresholds, strict=True))
    if out is not None and version is not None:
        changed = dataclasses.replace(
            manifest, score_thresholds=result.thresholds, model_version=version
        )
        path, digest = rewrite(artifact, changed, out)
        document["artifact"] = {"path": str(path), "sha256": digest}
    click.echo(json.dumps(document, indent=2))


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


def _print_report(report: ArtifactReport, rows: list[tuple[str, int, object]]) -> None:
    m = report.metrics
    table = Table("class", "boxes", "AP50", "threshold", "precision", "recall")
    for name, boxes, point in rows:
        values = dataclasses.astuple(point)  # type: ignore[call-overload]
        table.add_row(name, str(boxes), f"{m.ap50[name]:.3f}", *(f"{v:.3f}" for v in values))
    console = Console()
    console.print(table)
    console.print(
        f"mAP50 {m.map50:.4f}   mAP50-95 {m.map50_95:.4f}   mAP50 small {m.map50_small:.3f}, "
        f"medium {m.map50_medium:.3f}, large {m.map50_large:.3f}"
    )


def _without_nan(value: object) -> object:
    """JSON has no NaN: a figure that does not exist is null."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
