"""train, blend, export and reexport: from a description of a run to an artifact."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click
from rich.console import Console

from flawspec.artifact import read_manifest
from mobilemamba.artifact_files import write_artifact
from mobilemamba.blend import blend as blend_weights
from mobilemamba.card import model_card
from mobilemamba.carried_card import card_of
from mobilemamba.checkpoint import require_own
from mobilemamba.chosen_thresholds import ChosenThresholds
from mobilemamba.commands.arguments import EXISTING_FILE, FOLDER, choose_device, work_lines
from mobilemamba.commands.carrying import write_card
from mobilemamba.config import ConfigError, load_config
from mobilemamba.dataset import load_clean
from mobilemamba.progress import TrainingDisplay
from mobilemamba.reexport import reexport as export_anew
from mobilemamba.release import ReleaseRequest, release, require_ready
from mobilemamba.train import BEST, LAST, METRICS, Trainer
from mobilemamba.whole_file import write_whole


@click.command()
@click.argument("config", type=EXISTING_FILE)
@click.option("--out", type=FOLDER, required=True, help="Folder for checkpoints and metrics.jsonl.")
@click.option("--resume", is_flag=True, help=f"Go on from {LAST} in the folder.")
@click.option("--device", default=None, help="cpu or cuda; by default cuda where there is one.")
def train(config: Path, out: Path, resume: bool, device: str | None) -> None:
    """Train as CONFIG (TOML) says; Ctrl-C keeps the last finished epoch, --resume goes on from it."""
    run = load_config(config)
    chosen = choose_device(device)
    if resume:
        require_own(out / LAST, run.sha256)
    else:
        _check_free(out)
    own = run.already_begun() if resume else run
    trainer = Trainer(own, out, chosen, watch=work_lines())
    if resume:
        trainer.resume(out / LAST)
        if trainer.progress.data is None:
            click.echo(
                f"{out / LAST} does not say which data it was trained on (a former release wrote it); that they are "
                "these cannot be checked"
            )
        if trainer.progress.epoch >= run.training.epochs:
            click.echo(f"{out} has all of its {run.training.epochs} epochs already; nothing to do")
            return
    elif trainer.started:
        click.echo(trainer.started.sentence)
    with TrainingDisplay(Console(), run.training.epochs) as display:
        trainer.run(display.observer())


def _check_free(out: Path) -> None:
    """A new run would write over what is there."""
    if (out / LAST).exists():
        raise ConfigError(f"{out} already holds a run; give --resume to go on, or another folder")
    if left := [name for name in (BEST, METRICS) if (out / name).exists()]:
        raise ConfigError(
            f"{out} holds {' and '.join(left)} of a run, whose {LAST} is gone; give another folder, or remove them"
        )


@click.command()
@click.argument("config", type=EXISTING_FILE)
@click.argument("checkpoint", type=EXISTING_FILE)
@click.option(
    "--out", type=FOLDER, required=True, help="Folder of artifacts; SHA256SUMS there is kept."
)
@click.option(
    "--clean",
    type=FOLDER,
    help="Folder of clean pictures, which the thresholds should leave alone.",
)
@click.option(
    "--thresholds",
    type=EXISTING_FILE,
    help="Take the thresholds that `calibrate` printed into this file, instead of the best F1 on validation.",
)
def export(
    config: Path, checkpoint: Path, out: Path, clean: Path | None, thresholds: Path | None
) -> None:
    """Make an artifact with its model card from CHECKPOINT, trained as CONFIG says."""
    run = load_config(config)
    require_ready(run, checkpoint, out)
    chosen = ChosenThresholds.load(thresholds) if thresholds is not None else None
    watch = work_lines()
    pictures = load_clean(clean, watch) if clean is not None else ()
    request = ReleaseRequest(run, checkpoint, out, pictures, datetime.now(timezone.utc), chosen)
    made = release(request, click.echo, watch)
    write_whole(made.artifact.with_suffix(".md"), model_card(made, request, config))
    click.echo(
        f"{made.artifact}: mAP50 {made.metrics.map50:.4f} on {made.manifest.metrics_split}, "
        f"differs from PyTorch by {made.parity:.1e}, sha256 {made.sha256}"
    )


@click.command()
@click.argument("config", type=EXISTING_FILE)
@click.argument("checkpoint", type=EXISTING_FILE)
@click.argument("other", type=EXISTING_FILE)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Of CHECKPOINT; the rest is of OTHER.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The checkpoint to write."
)
def blend(config: Path, checkpoint: Path, other: Path, share: float, out: Path) -> None:
    """Mix the weights of CHECKPOINT, trained as CONFIG says, with those of OTHER, which it came from.

    OTHER is an artifact or a checkpoint of the same classes: the very file that the run, or the first of several,
    started from. A run that teaches a network something more forgets some of what it knew; between the two often lies
    one that has both. `export` takes what is written.
    """
    metrics = blend_weights(load_config(config), checkpoint, other, share, out, work_lines())
    click.echo(
        f"{out}: {share:g} of {checkpoint.name}, {1 - share:g} of {other.name}; mAP50 {metrics.map50:.4f}, "
        f"small {metrics.map50_small:.4f}, mAP50-95 {metrics.map50_95:.4f}"
    )


@click.command()
@click.argument("artifact", type=EXISTING_FILE)
@click.option("--version", required=True, help="Of the new artifact.")
@click.option(
    "--out", type=FOLDER, required=True, help="Folder of artifacts; SHA256SUMS there is kept."
)
def reexport(artifact: Path, version: str, out: Path) -> None:
    """Export ARTIFACT anew: its weights, thresholds and facts in the graph that this release makes.

    For artifacts of earlier releases, whose graphs are slower. The new file is compared with the old one and refused
    where they differ; the model card is carried over, with a line about this.
    """
    card = card_of(artifact, read_manifest(artifact).model_name)
    made = export_anew(artifact, version, out)
    write_artifact(made.artifact, made.content)
    likeness = (
        f", with its weights, thresholds and figures, which were measured on it; the two differ by "
        f"{made.difference:.1e} at most (batch 1, 3, 8; generated pictures)"
    )
    write_card(card, artifact, made.artifact, "exported anew", likeness=likeness)
    click.echo(
        f"{made.artifact}: differs from {artifact.name} by {made.difference:.1e}, sha256 {made.sha256}"
    )
