"""crossval and calibrate: figures with their spread, and thresholds that keep a promise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flawspec.artifact import read_manifest, verify
from flawspec.manifest import ArtifactManifest
from mobilemamba.artifact_files import derived_path, rewrite
from mobilemamba.calibrate import (
    Calibration,
    Promise,
    calibrate_false_rejects,
    require_clean,
    require_defective,
)
from mobilemamba.calibrate import calibrate as calibrate_escapes
from mobilemamba.carried_card import card_of
from mobilemamba.chosen_thresholds import CROSSVAL, Source, detections_of, promise_of
from mobilemamba.commands.arguments import (
    ANNOTATIONS,
    ANNOTATIONS_HELP,
    EXISTING_FILE,
    FOLDER,
    OPEN_SHARE,
    choose_device,
    say_copies,
    say_what_it_learned,
    work_lines,
)
from mobilemamba.commands.carrying import write_card
from mobilemamba.config import load_config
from mobilemamba.crossval import DETECTIONS, cross_validate
from mobilemamba.dataset import Sample, load_dataset
from mobilemamba.evaluate import shown
from mobilemamba.measured import evaluate_samples
from mobilemamba.out_of_fold import OutOfFold
from mobilemamba.progress import TrainingDisplay
from mobilemamba.train import Observer
from mobilemamba.trained_on import pictures_sha256, places_once


@click.command()
@click.argument("config", type=EXISTING_FILE)
@click.option("--out", type=FOLDER, required=True, help="Folder for the runs and what they found.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--device", default=None, help="cpu or cuda; by default cuda where there is one.")
def crossval(config: Path, out: Path, folds: int, device: str | None) -> None:
    """Cross-validate what CONFIG describes on its training sets; given again it goes on where it stopped.

    Prints each figure with its spread over the folds; pictures of one surface are never in two folds, to which end
    each is compared with every other at first: some hours for 20,000.
    """
    run = load_config(config)
    console = Console()

    chosen = choose_device(device)
    with TrainingDisplay(console, run.training.epochs) as display:

        def observer(number: int) -> Observer:
            console.print(f"fold {number + 1} of {folds}")
            return display.observer()

        result = cross_validate(run, folds, out, chosen, observer, work_lines())
    table = Table("figure", "mean", "standard deviation", "lowest", "highest")
    for name, spread in result.spread.items():
        table.add_row(escape(name), *map(shown, dataclasses.astuple(spread)))
    console.print(table)
    click.echo(f"detections for `calibrate --out-of-fold`: {out / DETECTIONS}")


@click.command()
@click.argument("artifact", type=EXISTING_FILE, required=False)
@click.option("--coco", type=ANNOTATIONS, help=f"{ANNOTATIONS_HELP}.")
@click.option("--images", type=FOLDER, help="Folder of the pictures.")
@click.option("--clean", type=FOLDER, help="Folder of further pictures without flaws.")
@click.option(
    "--out-of-fold",
    type=EXISTING_FILE,
    help="Detections of `crossval`, instead of ARTIFACT on pictures.",
)
@click.option("--escape-rate", type=OPEN_SHARE, help="Promised share of defective pictures passed.")
@click.option(
    "--false-reject-rate",
    type=OPEN_SHARE,
    help="Or: promised share of pictures without a flaw that are reported.",
)
@click.option(
    "--confidence", type=OPEN_SHARE, default=0.95, show_default=True, help="Of the promise."
)
@click.option(
    "--start",
    type=OPEN_SHARE,
    help="Threshold of every class to move from; by default the artifact's own.",
)
@click.option(
    "--out", type=FOLDER, help="Also write the artifact with these thresholds here, and its card."
)
@click.option("--version", help="Version of the artifact that --out writes.")
def calibrate(
    artifact: Path | None,
    coco: Path | None,
    images: Path | None,
    clean: Path | None,
    out_of_fold: Path | None,
    escape_rate: float | None,
    false_reject_rate: float | None,
    confidence: float,
    start: float | None,
    out: Path | None,
    version: str | None,
) -> None:
    """Thresholds for a promised rate, from labelled pictures that ARTIFACT was not trained on.

    The thresholds of an artifact were chosen on its validation set: where that must not matter, give --start.
    Prints JSON, which `export --thresholds` reads: thresholds by class, escapes and false rejects
    with their bounds.
    """
    if (escape_rate is None) == (false_reject_rate is None):
        raise click.UsageError("give one of --escape-rate and --false-reject-rate")
    if artifact is not None:
        verify(artifact, None)
    card = _check_target(artifact, out, version)
    enough = partial(_require_enough, escape_rate, false_reject_rate, confidence)
    found = _evidence(artifact, coco, images, clean, out_of_fold, enough)
    starts = _starts(artifact, start, found.labels.names)
    result = _choose(found, starts, escape_rate, false_reject_rate, confidence)
    promised = {"escape_rate": escape_rate, "false_reject_rate": false_reject_rate}
    document: dict[str, Any] = {k: v for k, v in promised.items() if v is not None}
    source = _source(found, None if out_of_fold else artifact)
    document |= {"confidence": confidence} | _document(found, result, source)
    try:
        if artifact is not None and out is not None and version is not None:
            document["artifact"] = _write(artifact, card, document, version, out)
    finally:  # what took long to choose, also where the artifact cannot be written
        click.echo(json.dumps(document, indent=2))


def _document(found: OutOfFold, result: Calibration, source: Source) -> dict[str, Any]:
    chosen = dict(zip(found.labels.names, result.thresholds, strict=True))
    return dataclasses.asdict(result) | {
        "thresholds": chosen,
        "source": dataclasses.asdict(source),
        "pictures_sha256": " ".join(found.pictures_sha256),
    }


def _check_target(artifact: Path | None, out: Path | None, version: str | None) -> str | None:
    """Before anything is computed; the card to carry over."""
    if (out is None) != (version is None):
        raise click.UsageError("--out and --version belong together")
    if out is None or version is None:
        return None
    if artifact is None:
        raise click.UsageError("--out needs ARTIFACT")
    manifest = _of_version(artifact, version)
    derived_path(manifest, out, artifact)
    return card_of(artifact, manifest.model_name)


def _write(
    artifact: Path, card: str | None, document: dict[str, Any], version: str, out: Path
) -> dict[str, str]:
    manifest = _of_version(artifact, version)
    names = manifest.labels.names
    in_order = tuple(document["thresholds"][name] for name in names)
    changed = dataclasses.replace(manifest, score_thresholds=in_order)
    path, digest = rewrite(artifact, changed, out)
    detections = detections_of(Source(**document["source"]), manifest.train_config_sha256)
    section = _section(document, version, detections)
    write_card(card, artifact, path, "given other thresholds", section)
    return {"path": str(path), "sha256": digest}


def _section(document: dict[str, Any], version: str, detections: str) -> tuple[str, ...]:
    """What a card says of them."""
    return (
        f"## Thresholds of {version}",
        "",
        f"They were {promise_of(document)}.",
        detections,
        f"With these thresholds {document['escapes']} of those with flaws pass (with this confidence a share of "
        f"{document['escape_bound']:.4f} at most), and {document['false_rejects']} of those without are reported "
        f"({document['false_reject_bound']:.4f}).",
        "",
        "| class | threshold |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in document["thresholds"].items()),
    )


def _of_version(artifact: Path, version: str) -> ArtifactManifest:
    return dataclasses.replace(read_manifest(artifact), model_version=version)


def _source(found: OutOfFold, artifact: Path | None) -> Source:
    if artifact is None:
        return Source(CROSSVAL, "", found.config_sha256)
    return Source(artifact.name, verify(artifact, None), found.config_sha256)


def _evidence(
    artifact: Path | None,
    coco: Path | None,
    images: Path | None,
    clean: Path | None,
    out_of_fold: Path | None,
    require_enough: Callable[[Sequence[Sample]], None],
) -> OutOfFold:
    """Of each picture once, since a copy is no further evidence."""
    if out_of_fold is not None:
        given = {"--coco": coco, "--images": images, "--clean": clean}
        if unused := [name for name, value in given.items() if value is not None]:
            raise click.UsageError(
                f"{', '.join(unused)} cannot go with --out-of-fold, whose detections stand in for pictures: leave "
                "out one or the other"
            )
        kept = OutOfFold.load(out_of_fold)
        once = kept.once()
        say_copies(len(kept.samples) - len(once.samples))
        return once
    if artifact is None or coco is None or images is None:
        raise click.UsageError("give ARTIFACT, --coco and --images, or --out-of-fold")
    manifest = read_manifest(artifact)
    watch = work_lines()
    sets = [(coco, load_dataset(coco, images, manifest.labels, watch))]
    if clean is not None:
        sets.append((clean, load_dataset(None, clean, manifest.labels, watch)))
    say_what_it_learned(
        artifact, manifest, sets, "what is promised on these pictures holds for no others"
    )
    pictures = tuple(sample for _, dataset in sets for sample in dataset.samples)
    digests = pictures_sha256(pictures)
    places = places_once(pictures, digests)
    say_copies(len(pictures) - len(places))
    pictures, digests = (tuple(of[i] for i in places) for of in (pictures, digests))
    require_enough(pictures)
    found = evaluate_samples(artifact, manifest, pictures, watch)
    return OutOfFold(manifest.labels, pictures, found, digests, manifest.train_config_sha256)


def _require_enough(
    escape_rate: float | None,
    false_reject_rate: float | None,
    confidence: float,
    samples: Sequence[Sample],
) -> None:
    """Before hours are spent on pictures of which there are too few."""
    defective = sum(len(s.class_ids) > 0 for s in samples)
    if escape_rate is not None:
        require_defective(defective, Promise(escape_rate, confidence))
    if false_reject_rate is not None:
        require_clean(len(samples) - defective, false_reject_rate, confidence)


def _starts(
    artifact: Path | None, start: float | None, names: tuple[str, ...]
) -> tuple[float, ...]:
    """In the order of `names`, which may be another than the artifact's own."""
    own: dict[str, float] = {}
    if artifact is not None:
        manifest = read_manifest(artifact)
        own = dict(zip(manifest.labels.names, manifest.score_thresholds, strict=True))
        if set(own) != set(names):
            raise click.UsageError(
                f"ARTIFACT knows {', '.join(own)}, --out-of-fold is of {', '.join(names)}: give detections of "
                "networks with the classes of ARTIFACT"
            )
    if start is not None:
        return (start,) * len(names)
    if artifact is None:
        raise click.UsageError("without ARTIFACT, --start is needed")
    return tuple(own[name] for name in names)


def _choose(
    found: OutOfFold,
    starts: tuple[float, ...],
    escape_rate: float | None,
    false_reject_rate: float | None,
    confidence: float,
) -> Calibration:
    pairs = list(zip(found.samples, found.detections, strict=True))
    defective = [d for s, d in pairs if len(s.class_ids)]
    clean = [d for s, d in pairs if not len(s.class_ids)]
    if escape_rate is not None:
        return calibrate_escapes(defective, clean, starts, Promise(escape_rate, confidence))
    assert false_reject_rate is not None  # noqa: S101 - the caller has looked
    return calibrate_false_rejects(defective, clean, starts, false_reject_rate, confidence)
