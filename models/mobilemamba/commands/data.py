"""split: what lies in a folder of pictures, before anything is trained on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from flawspec.labels import LabelSet
from mobilemamba.annotations import printable
from mobilemamba.commands.arguments import FOLDER, work_lines
from mobilemamba.dataset import load_dataset
from mobilemamba.split import (
    FOUND_FILE,
    Groups,
    coco_document,
    find_groups,
    found_document,
    listed_once,
    only,
    share_out,
)
from mobilemamba.whole_file import write_whole

PARTS = ("train", "val", "test")


@click.command()
@click.argument("annotations", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--images", type=FOLDER, required=True, help="Folder of the pictures.")
@click.option("--out", type=FOLDER, help="Folder for the splits; without it nothing is written.")
@click.option(
    "--shares",
    type=click.FloatRange(0, 1),
    nargs=3,
    default=(0.7, 0.1, 0.2),
    show_default=True,
    help="Of pictures and boxes for train, val and test.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order among equals.")
def split(
    annotations: tuple[Path, ...],
    images: Path,
    out: Path | None,
    shares: tuple[float, float, float],
    seed: int,
) -> None:
    """Find pictures that show the same place (copies, shifted cut-outs), and split so that they stay together.

    ANNOTATIONS are one or several COCO files, or folders of Pascal VOC or YOLO files, of one folder of pictures.
    Of several it is said which groups cross them. Writes train.json, val.json, test.json (COCO) and groups.json;
    none of them may exist already, and a part without pictures gets none. A picture that several list is written
    once; its boxes must be the same. The time grows with the square of their number: some hours for 20,000.
    """
    if not abs(sum(shares) - 1) <= 1e-6:  # of "nan" nothing is true
        raise click.BadParameter(f"{shares} do not add up to 1", param_hint="--shares")
    if out is not None:
        _check_free(out)
    watch = work_lines()
    first = load_dataset(annotations[0], images, watch=watch)
    others = (load_dataset(path, images, first.labels, watch) for path in annotations[1:])
    datasets = [first, *others]
    kept = None if out is None else listed_once(datasets, images, annotations)
    groups = find_groups(datasets, watch)
    _say(groups, annotations)
    if out is None or kept is None:
        return
    if repeats := len(groups.samples) - len(kept):
        click.echo(f"{repeats} pictures are listed again and are written once")
        groups = only(groups, kept)
    parts = share_out(groups, len(first.labels), shares, seed)
    _write_parts(groups, parts, shares, first.labels, out)


def _write_parts(
    groups: Groups,
    parts: Sequence[Sequence[int]],
    shares: tuple[float, float, float],
    labels: LabelSet,
    out: Path,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, share, part in zip(PARTS, shares, parts, strict=True):
        samples = [groups.samples[i] for i in part]
        if not samples:  # a file without images would be refused by whoever reads it
            click.echo(f"{out / name}.json is not written: {_why_empty(share)}")
            continue
        boxes = sum(len(s.class_ids) for s in samples)
        write_whole(out / f"{name}.json", json.dumps(coco_document(samples, labels)))
        click.echo(f"{out / name}.json: {len(samples)} pictures, {boxes} boxes")
    write_whole(out / FOUND_FILE, json.dumps(found_document(groups), indent=1))


def _why_empty(share: float) -> str:
    if share == 0:
        return "its share is 0"
    return (
        f"no picture was left for its share of {share:g}, since those of one place stay together and each class is "
        "shared out evenly; give more pictures, a larger share or another --seed"
    )


def _check_free(out: Path) -> None:
    """Before anything is computed: what would be overwritten may be the annotations themselves."""
    for file_name in (*(f"{part}.json" for part in PARTS), FOUND_FILE):
        if os.path.lexists(out / file_name):
            raise click.BadParameter(
                f"{out / file_name} exists already and would be overwritten; give another folder",
                param_hint="--out",
            )


def _say(groups: Groups, annotations: tuple[Path, ...]) -> None:
    shared = groups.shared
    click.echo(
        f"{len(groups.samples)} pictures; {sum(map(len, shared))} of them share their place with others, "
        f"in {len(shared)} groups (largest: {max(map(len, shared), default=1)})"
    )
    if len(annotations) > 1:
        crossing = groups.crossing
        click.echo(f"{len(crossing)} groups lie in more than one of the {len(annotations)} files")
        for members in crossing[:20]:
            places = (
                f"{printable(groups.samples[i].name)} ({annotations[groups.sources[i]].name})"
                for i in members
            )
            click.echo(f"  {', '.join(places)}")
