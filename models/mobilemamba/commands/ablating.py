"""ablate: what each part of the network and of its loss is worth."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mobilemamba.ablation import Protocol, variants
from mobilemamba.ablation import ablate as run_ablation
from mobilemamba.commands.arguments import EXISTING_FILE, FOLDER, choose_device, work_lines
from mobilemamba.config import load_config
from mobilemamba.progress import TrainingDisplay
from mobilemamba.train import Observer


@click.command()
@click.argument("config", type=EXISTING_FILE)
@click.option("--out", type=FOLDER, required=True, help="Folder for the runs and the table.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many.")
@click.option("--epochs", type=click.IntRange(1), help="Of each run, instead of CONFIG's.")
@click.option("--variant", "only", multiple=True, help="A variant by name; by default all.")
@click.option(
    "--contrast-weight", type=click.FloatRange(0), default=0.25, show_default=True, help="Of each."
)
@click.option("--device", default=None, help="cpu or cuda; by default cuda where there is one.")
def ablate(
    config: Path,
    out: Path,
    seeds: int,
    epochs: int | None,
    only: tuple[str, ...],
    contrast_weight: float,
    device: str | None,
) -> None:
    """Train CONFIG without and with each contrast, without the scan, without the wavelet branch, and compare.

    Given again it goes on where it stopped. Writes ablation.json and ablation.md (mean and spread over seeds).
    """
    run = load_config(config)
    known = tuple(variants(run, contrast_weight))
    unknown = [name for name in only if name not in known]
    if unknown:
        raise click.BadParameter(
            f"{unknown[0]!r} is unknown; known: {'; '.join(known)}", param_hint="--variant"
        )
    console = Console()
    protocol = Protocol(tuple(range(run.seed, run.seed + seeds)), epochs, contrast_weight)
    names, chosen = only or known, choose_device(device)
    with TrainingDisplay(console, epochs or run.training.epochs) as display:

        def observer(name: str, seed: int) -> Observer:
            console.print(f"{name}, seed {seed}")
            return display.observer()

        path = run_ablation(run, protocol, names, out, chosen, observer, work_lines())
    click.echo(path.read_text("utf-8"))
