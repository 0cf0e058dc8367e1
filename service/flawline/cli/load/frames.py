"""The pictures that are sent: files, or drawn frames as a camera would send them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image

from flawline.cli.fault import Fault
from flawline.cli.pictures import SUFFIXES, collect_pictures
from flawline.samples.errors import SampleError
from flawline.samples.generator import generate_frame

_DRAWN = 16
_MOST_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Frames:
    """pictures: at least one file's bytes each; source: where they come from, for people."""

    pictures: tuple[bytes, ...]
    source: str


def size_px(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as (width_px, height_px); the callback of an option."""
    width, _, height = value.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        message = f"{value!r} is no size; write it like 640x480."
        raise click.BadParameter(message, context, parameter)
    return int(width), int(height)


def read_frames(paths: Sequence[Path]) -> Frames:
    """Files as named, and all pictures in folders. Raises Fault where there are none."""
    files = collect_pictures(paths)
    where = ", ".join(map(str, paths))
    if not files:
        endings = ", ".join(sorted(SUFFIXES))
        raise Fault(f"There is no picture in {where}; looked for files ending in {endings}.")
    pictures: list[bytes] = []
    room = _MOST_BYTES
    for file in files:
        try:
            picture = file.path.read_bytes()
        except OSError as error:
            raise Fault(f"The file {file.path} cannot be read: {error.strerror}.") from error
        if not picture:
            raise Fault(f"The file {file.path} is empty.")
        room -= len(picture)
        if room < 0 and pictures:  # memory is what the service next door needs
            break
        pictures.append(picture)
    kept = f"{len(pictures)} of {len(files)}" if len(pictures) < len(files) else f"{len(pictures)}"
    return Frames(tuple(pictures), f"{kept} pictures in {where}")


def draw_frames(size: tuple[int, int], count: int = _DRAWN) -> Frames:
    """Drawn steel as JPEG, always the same. Raises Fault for a size that cannot be drawn."""
    width_px, height_px = size
    pictures = []
    try:
        for seed in range(count):
            stream = io.BytesIO()
            grey = generate_frame(seed, width_px, height_px).grey
            Image.fromarray(grey).save(stream, "JPEG", quality=90)
            pictures.append(stream.getvalue())
    except SampleError as error:
        raise Fault(error.sentence) from error
    return Frames(tuple(pictures), f"{count} drawn frames of {width_px}x{height_px} (JPEG)")
