"""Crazing: a web of fine dark cracks that wander across the rolling direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import Field, cloud
from flawline.samples.steel import SteelLook

# Cracks are drawn twice as large and averaged down, which gives soft lines of odd widths.
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Crazing:
    """Web of cracks on coarse, banded, mid-grey steel."""

    name: str = "crazing"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Grainy steel of mid brightness with broad vertical bands and tilted scuffs."""
        return SteelLook(
            mean=float(np.clip(rng.normal(148.0, 24.0), 88.0, 185.0)),
            light_right=float(rng.normal(0.0, 30.0)),
            bands=float(rng.uniform(5.0, 13.0)),
            band_px=float(rng.uniform(18.0, 40.0)),
            blotches=float(rng.uniform(4.0, 8.0)),
            blotch_px=9.0,
            streaks=float(rng.uniform(3.0, 8.0)),
            streak_slope=float(rng.uniform(2.0, 5.0)),
            streak_px=1.6,
            grain=float(rng.uniform(14.0, 20.0)),
            grain_px=0.62,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Broad regions: width 60..190, height 42..130."""
        return int(rng.triangular(40, 62, 135)), int(rng.uniform(70, 185))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """Cracks from side to side, a few branches, blurred blobs where cracks meet."""
        canvas = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING), 0)
        pen = ImageDraw.Draw(canvas)
        spacing = rng.uniform(9.0, 15.0)
        for _ in range(max(4, round(height / spacing * width / 55.0))):
            _crack(rng, pen, canvas.width, canvas.height)
        reduced = canvas.reduce(_OVERSAMPLING)
        lines: Field = np.asarray(reduced, dtype=np.float32) * (1.0 / 255.0)
        fading = np.clip(1.0 + 0.35 * cloud(rng, height, width, 20.0, 20.0), 0.45, 1.3)
        depth = max(30.0, ground * rng.uniform(0.45, 0.62))
        return Stamp.added(lines * fading * -depth)


def _crack(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """One jagged crack, mostly sideways, thicker and darker in places."""
    x, y = rng.uniform(-0.1, 0.9) * width, rng.uniform(0.02, 0.98) * height
    heading = rng.normal(0.0, 0.28)
    steps = int(rng.integers(6, 26))
    shade = rng.uniform(90.0, 230.0)
    for _ in range(steps):
        stride = rng.uniform(4.0, 10.0)
        bend = heading + rng.normal(0.0, 0.65)
        next_x, next_y = x + stride * math.cos(bend), y + stride * math.sin(bend)
        darkness = int(min(255.0, max(40.0, shade + rng.normal(0.0, 45.0))))
        pen.line((x, y, next_x, next_y), fill=darkness, width=int(rng.choice((2, 2, 3, 4))))
        if rng.random() < 0.08:
            drop = rng.uniform(4.0, 16.0) * rng.choice((-1.0, 1.0))
            pen.line((x, y, x + rng.normal(0.0, 3.0), y + drop), fill=darkness, width=2)
        x, y = next_x, next_y
