"""`flawline sample`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from flawline.cli.fault import Fault
from flawline.samples.coco import write_coco
from flawline.samples.errors import SampleError


@click.command("sample", short_help="Draw frames of steel, with ground truth.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", type=int, default=12, show_default=True, help="How many frames.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same frames.")
@click.option("--width", type=int, default=200, show_default=True, help="Pixels.")
@click.option("--height", type=int, default=200, show_default=True, help="Pixels.")
@click.option(
    "--clean-share",
    type=float,
    default=0.1,
    show_default=True,
    help="Expected share of frames without a flaw, 0 to 1.",
)
def command(
    folder: Path, count: int, seed: int, width: int, height: int, clean_share: float
) -> None:
    """Draw frames of steel with flaws into DIR/images, and where they are into DIR/annotations.json.

    The frames are generated, not photographs; the annotations are COCO JSON.
    """
    console = Console(stderr=True)
    try:
        with Progress(
            *Progress.get_default_columns(),
            MofNCompleteColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as bar:
            task = bar.add_task("drawing", total=count)
            made = write_coco(
                folder,
                count,
                seed,
                width,
                height,
                clean_share,
                lambda done, _: bar.update(task, completed=done),
            )
    except SampleError as error:
        raise Fault(error.sentence) from error
    click.echo(
        f"{made.pictures} frames with {made.boxes} flaws ({made.clean_pictures} without any) "
        f"in {made.images_path}; ground truth in {made.annotations_path}"
    )
