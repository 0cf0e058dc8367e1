"""A picture of a load test: the latency of each answered frame, over the moment at which it was due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from flawline.cli.fault import Fault
from flawline.core.load import percentiles_ms

_WIDTH, _HEIGHT = 960, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 64, 90, 36
_TICKS = 5
_TEXT_PX = 13
_INK, _GRID, _DOT = "#202020", "#dddddd", "#3b6ea5"
_MARKS = ((0.5, "p50", "#2e7d32"), (0.99, "p99", "#c62828"))


def check_plot_path(path: Path) -> None:
    """Before a run is spent on it. Raises Fault."""
    if path.suffix.lower() != ".png":
        raise Fault(f"--plot draws PNG; name a file that ends in .png, not {path.name!r}.")
    if not path.resolve().parent.is_dir():
        raise Fault(f"There is no folder {path.resolve().parent} to draw {path.name} into.")


def draw_latencies(
    path: Path, title: str, due_s: Sequence[float], latencies_s: Sequence[float]
) -> None:
    """Write a PNG; nothing but its frame when no frame was answered. Raises Fault.

    due_s: when each answered frame was due, on any clock; latencies_s: of the same frames.
    """
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    draw.font = ImageFont.load_default(_TEXT_PX)
    began_s = min(due_s, default=0.0)
    span_s = (max(due_s, default=0.0) - began_s) or 1.0
    most_ms = 1.05 * max(latencies_s, default=0.001) * 1000
    draw.text((_LEFT, 12), title, _INK)
    draw.text((_LEFT, 32), "latency in ms, over the moment in s at which a frame was due", _INK)
    _axes(draw, span_s, most_ms)
    for moment_s, latency_s in zip(due_s, latencies_s, strict=True):
        x, y = _at((moment_s - began_s) / span_s, latency_s * 1000 / most_ms)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_DOT)
    for share, name, colour in _MARKS:
        (value_ms,) = percentiles_ms(latencies_s, (share,))
        if value_ms is not None:
            (left, y), (right, _) = _at(0.0, value_ms / most_ms), _at(1.0, 0.0)
            draw.line((left, y, right, y), fill=colour)
            draw.text((right + 4, y - 8), f"{name} {value_ms:.0f}", colour)
    try:
        image.save(path)
    except OSError as error:
        raise Fault(f"{path} cannot be written: {error.strerror or error}.") from error


def _axes(draw: ImageDraw.ImageDraw, span_s: float, most_ms: float) -> None:
    for value_ms in _round_values(most_ms):
        (left, y), (right, _) = _at(0.0, value_ms / most_ms), _at(1.0, 0.0)
        draw.line((left, y, right, y), fill=_GRID)
        draw.text((left - 8, y), f"{value_ms:g}", _INK, anchor="rm")
    for moment_s in _round_values(span_s):
        x, bottom = _at(moment_s / span_s, 0.0)
        draw.text((x, bottom + 6), f"{moment_s:g}", _INK, anchor="ma")


def _round_values(most: float) -> list[float]:
    """From 0 on, in steps of 1, 2 or 5 of a power of ten; five or more, up to `most`."""
    power = 10.0 ** math.floor(math.log10(most / _TICKS))
    step = max(n * power for n in (1, 2, 5) if n * power * _TICKS <= most)
    return [round(n * step, 9) for n in range(math.floor(most / step) + 1)]


def _at(share_x: float, share_y: float) -> tuple[float, float]:
    """Pixels of a point of the field; both shares from its lower left corner."""
    x = _LEFT + share_x * (_WIDTH - _LEFT - _RIGHT)
    return x, _HEIGHT - _BOTTOM - share_y * (_HEIGHT - _TOP - _BOTTOM)
