"""quantise: whether INT8 pays on this machine, and the artifact if it does."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flawspec.artifact import read_manifest, verify
from flawspec.manifest import ArtifactManifest
from mobilemamba.annotations import DatasetError
from mobilemamba.artifact_files import derived_path, require_free, write_graph
from mobilemamba.carried_card import card_of
from mobilemamba.commands.arguments import (
    ANNOTATIONS,
    ANNOTATIONS_HELP,
    EXISTING_FILE,
    FOLDER,
    work_lines,
)
from mobilemamba.commands.carrying import write_card
from mobilemamba.dataset import load_dataset, spread_over
from mobilemamba.measured import released_figures
from mobilemamba.quantise import LEAST_FASTER, MOST_LOST, Trial, try_recipes
from mobilemamba.sets import has_boxes


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option(
    "--calibration",
    type=ANNOTATIONS,
    required=True,
    help=f"Of training pictures: {ANNOTATIONS_HELP}.",
)
@click.option("--coco", type=ANNOTATIONS, required=True, help=f"To measure on: {ANNOTATIONS_HELP}.")
@click.option("--images", type=FOLDER, required=True, help="Folder of both's pictures.")
@click.option(
    "--pictures",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Calibrate on so many, spread over the set.",
)
@click.option("--out", type=FOLDER, required=True, help="Folder of artifacts.")
def quantise(
    artifact: Path, calibration: Path, coco: Path, images: Path, pictures: int, out: Path
) -> None:
    """Try ARTIFACT in INT8 by several recipes, measured beside itself; write the best, or say why there is none.

    It pays when it loses at most 0.01 of mAP50 and is at least 1.3 times as fast on one thread of this machine;
    the exit code is 1 when no recipe does. Thresholds are kept; the card is carried over, with the figures of INT8.
    """
    verify(artifact, None)
    manifest = read_manifest(artifact)
    quantised = dataclasses.replace(manifest, model_name=f"{manifest.model_name}-int8")
    require_free(derived_path(quantised, out, artifact))
    card = card_of(artifact, manifest.model_name)
    watch = work_lines()
    training = load_dataset(calibration, images, manifest.labels, watch)
    val = load_dataset(coco, images, manifest.labels, watch)
    if not has_boxes(val):
        raise DatasetError(coco, ["has no boxes, so that nothing can be measured on it"])
    chosen = dataclasses.replace(training, samples=spread_over(training.samples, pictures))
    trials = try_recipes(artifact, manifest, chosen, val, click.echo)
    _print(trials, coco)
    paying = [trial for trial in trials if trial.pays]
    if not paying:
        click.echo(
            f"INT8 does not pay here: no recipe loses at most {MOST_LOST:g} of mAP50 and is {LEAST_FASTER:g} times "
            "as fast; nothing was written"
        )
        raise click.exceptions.Exit(1)
    best = max(paying, key=lambda trial: trial.speed)
    changed = dataclasses.replace(
        quantised,
        metrics=released_figures(best.metrics),
        metrics_split=coco.resolve().name,
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    path, digest = write_graph(best.graph, changed, out, artifact)
    write_card(card, artifact, path, "quantised to INT8", _section(best, changed))
    click.echo(f"{path}: {best.recipe}, sha256 {digest}")


def _section(best: Trial, manifest: ArtifactManifest) -> tuple[str, ...]:
    """What a card says of it."""
    split = " ".join(manifest.metrics_split.split())
    return (
        f"## Figures of INT8 on {split}",
        "",
        f"{best.recipe[:1].upper()}{best.recipe[1:]} ({best.convolutions}) in INT8: mAP50 "
        f"**{best.metrics.map50:.3f}**, mAP50-95 {best.metrics.map50_95:.3f}; {best.lost:.3f} of mAP50 lost, "
        f"{best.speed:.2f} times as fast on one thread of the machine that made it. Thresholds were kept.",
    )


def _print(trials: list[Trial], coco: Path) -> None:
    table = Table(
        "INT8", "convolutions", f"mAP50 on {escape(coco.name)}", "lost", "times as fast, 1 thread"
    )
    for trial in trials:
        table.add_row(
            trial.recipe,
            str(trial.convolutions),
            f"{trial.metrics.map50:.4f}",
            f"{trial.lost:+.4f}",
            f"{trial.speed:.2f}",
        )
    Console().print(table)
