"""Crazing: a web of fine dark cracks that wander across the rolling direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import cloud, soften
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
        mean = float(np.clip(rng.normal(151.0, 24.0), 88.0, 188.0))
        rough = 0.45 + 0.55 * mean / 150.0
        return SteelLook(
            mean=mean,
            light_right=rng.normal(0.0, 38.0),
            bands=rough * rng.uniform(6.0, 14.0),
            band_px=rng.uniform(18.0, 40.0),
            blotches=rough * rng.uniform(4.5, 8.0),
            blotch_px=8.0,
            streaks=rough * rng.uniform(3.5, 7.0),
            streak_slope=rng.uniform(-0.45, -0.1),
            streaks_across=True,
            streak_px=4.5,
            coarse_grain=rough * rng.uniform(8.5, 11.5),
            coarse_px=1.15,
            grain=rough * rng.uniform(12.5, 15.5),
            grain_px=0.6,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Broad regions: width 60..190, height 42..130."""
        return int(rng.triangular(46, 66, 150)), int(rng.uniform(80, 205))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """Cracks from side to side with a few branches and blobs where they widen."""
        canvas = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING), 0)
        pen = ImageDraw.Draw(canvas)
        spacing = rng.uniform(10.0, 17.0)
        for _ in range(max(4, round(height / spacing * width / 50.0))):
            _crack(rng, pen, canvas.width, canvas.height)
        lines = np.asarray(canvas.reduce(_OVERSAMPLING), dtype=np.float32) * (1.0 / 255.0)
        fading = np.clip(1.0 + 0.4 * cloud(rng, height, width, 20.0, 20.0), 0.4, 1.4)
        depth = ground.step(rng.uniform(0.38, 0.56), least=30.0)
        return Stamp.added(-depth * soften(lines * fading, 0.6))


def _crack(rng: np.random.Generator, pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """One wavering crack, mostly sideways, thicker and darker in places."""
    x, y = rng.uniform(-0.1, 0.9) * width, rng.uniform(0.02, 0.98) * height
    steps = int(rng.integers(6, 30))
    heading, shade = rng.normal(0.0, 0.25), rng.uniform(60.0, 180.0)
    strides = rng.uniform(4.0, 10.0, steps).tolist()
    bends = rng.normal(heading, 0.5, steps).tolist()
    shades = np.clip(rng.normal(shade, 45.0, steps), 40.0, 255.0).astype(int).tolist()
    widths = rng.choice((3, 3, 4, 6), steps).tolist()
    for stride, bend, darkness, thickness in zip(strides, bends, shades, widths, strict=True):
        next_x, next_y = x + stride * math.cos(bend), y + stride * math.sin(bend)
        pen.line((x, y, next_x, next_y), fill=darkness, width=thickness)
        x, y = next_x, next_y
    if rng.random() < 0.4:
        drop = rng.uniform(6.0, 26.0) * (1.0 if rng.random() < 0.5 else -1.0)
        pen.line((x, y, x + rng.normal(0.0, 5.0), y + drop), fill=shades[-1], width=3)
    if rng.random() < 0.12:
        radius = rng.uniform(2.5, 6.0)
        pen.ellipse((x - radius, y - 1.4 * radius, x + radius, y + 1.4 * radius), fill=shades[-1])
