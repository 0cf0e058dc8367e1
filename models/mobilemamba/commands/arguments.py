"""What the commands share: kinds of arguments, what is said of them, and the device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import torch

from flawspec.manifest import ArtifactManifest
from mobilemamba.dataset import Dataset
from mobilemamba.watching import WorkLines

EXISTING_FILE = click.Path(path_type=Path, dir_okay=False)
ANNOTATIONS = click.Path(path_type=Path)
ANNOTATIONS_HELP = "COCO file, or folder of Pascal VOC or YOLO files"
FOLDER = click.Path(path_type=Path, file_okay=False)
OPEN_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


def work_lines() -> WorkLines:
    """On standard error: what a command has to say may be read by a program."""
    return WorkLines(partial(click.echo, err=True))


def say_what_it_learned(
    artifact: Path, manifest: ArtifactManifest, sets: Sequence[tuple[Path, Dataset]], therefore: str
) -> None:
    """On standard error, of each set, by where it was read from, that `artifact` was trained on; therefore: what?"""
    learned = {entry.sha256 for entry in manifest.training_data}
    for source in (place for place, dataset in sets if dataset.sha256 in learned):
        click.echo(f"caution: {artifact.name} was trained on {source}; {therefore}", err=True)


def say_copies(count: int) -> None:
    """On standard error, if there are any."""
    if count:
        click.echo(f"{count} pictures are given again and are counted once", err=True)


def choose_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is.

    Raises:
        click.BadParameter: it is not here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(
            f"{name} cannot be used here: {reason}", param_hint="--device"
        ) from error
    return device
