"""Command line of the science: from training to released artifacts, and what measures them."""

from __future__ import annotations

import io
import sys

import click
import torch

from flawspec.errors import FlawspecError
from mobilemamba.annotations import DatasetError
from mobilemamba.calibrate import CalibrationError
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.commands.ablating import ablate
from mobilemamba.commands.data import split
from mobilemamba.commands.measuring import evaluate, info, report
from mobilemamba.commands.quantising import quantise
from mobilemamba.commands.thresholds import calibrate, crossval
from mobilemamba.commands.training import blend, export, reexport, train
from mobilemamba.config import ConfigError
from mobilemamba.export import ExportError
from mobilemamba.train import TrainingError

EXPECTED = (
    ConfigError,
    DatasetError,
    CheckpointError,
    CalibrationError,
    TrainingError,
    ExportError,
    FlawspecError,
    OSError,
)

AGAIN = "; the same command again goes on where it stopped"
GOES_ON = {
    "train": "; --resume goes on after the last finished epoch",
    "crossval": AGAIN,
    "ablate": AGAIN,
}
NO_MEMORY = (
    "the device has too little memory for this: lower training.batch_size (that makes another run, which needs another "
    "folder), end what else uses the device, or give --device cpu"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train, measure and export MobileMamba detectors."""


for command in (
    train,
    blend,
    export,
    reexport,
    evaluate,
    report,
    calibrate,
    crossval,
    ablate,
    quantise,
    info,
    split,
):
    commands.add_command(command)


def main() -> None:
    """Entry point: expected errors are one sentence on standard error and exit code 2, Ctrl-C is 130."""
    # A file name may be no text; what is said of it must not end the command in the middle of its files.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = commands(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EXPECTED as error:
        click.echo(f"mobilemamba: {error}", err=True)
        sys.exit(2)
    except torch.OutOfMemoryError as error:
        click.echo(f"mobilemamba: {NO_MEMORY} ({str(error).splitlines()[0]})", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        advice = GOES_ON.get(sys.argv[1], "") if len(sys.argv) > 1 else ""
        click.echo(f"mobilemamba: stopped{advice}", err=True)
        sys.exit(130)
