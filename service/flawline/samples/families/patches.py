"""Patches: dark islands with a crumbling shore on overexposed, grainy steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import Field, across, as_field, cloud, grain, ramp, soften
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Patches:
    """Dark islands on bright, coarse steel."""

    name: str = "patches"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Bright and coarse, often clipped to white; one sheet in six dark."""
        dark = rng.random() < 0.16
        mean = rng.uniform(50.0, 95.0) if dark else rng.normal(182.0, 44.0)
        mean = float(np.clip(mean, 50.0, 275.0))
        rough = mean / 180.0
        return SteelLook(
            mean=mean,
            light_down=rough * rng.normal(0.0, 22.0),
            light_right=rough * rng.normal(0.0, 95.0),
            bands=rough * rng.uniform(6.0, 18.0),
            band_px=rng.uniform(22.0, 40.0),
            blotches=rough * rng.uniform(10.0, 22.0),
            blotch_px=rng.uniform(14.0, 28.0),
            streaks=rough * rng.uniform(5.0, 9.0),
            streak_px=2.2,
            coarse_grain=rough * rng.uniform(6.0, 9.0),
            coarse_px=1.3,
            grain=rough * rng.uniform(12.0, 16.0),
            grain_px=0.58,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Blobs to long islands: width 27..90, height 27..185."""
        width = np.clip(rng.lognormal(4.30, 0.36), 34.0, 130.0)
        height = np.clip(width * rng.lognormal(0.33, 0.48), 34.0, 230.0)
        return int(height), int(width)

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """An island that darkens the steel, grain and all, often ringed along its shore."""
        shore = _island(rng, height, width)
        softness = rng.uniform(0.35, 0.9)
        alpha = ramp(shore, -0.05, softness)
        tone = rng.uniform(0.28, 0.44) + 0.05 * cloud(rng, height, width, 20.0, 16.0)
        if rng.random() < 0.5:
            heart = ramp(shore, 0.7 * softness, softness + 0.5)
            tone = tone + rng.uniform(0.05, 0.20) * heart
        tone = np.clip(tone, 0.18, max(0.2, 1.0 - 24.0 / ground.level))
        gain = soften(1.0 - alpha * (1.0 - tone), rng.uniform(0.8, 1.6))
        return Stamp(gain, np.zeros_like(gain))


def _island(rng: np.random.Generator, height: int, width: int) -> Field:
    """1 and less in the middle of the island, 0 at its shore, negative outside, [H, W]."""
    y, x = across(height, width)
    cell = max(9.0, 0.45 * width)
    bow = np.clip(0.18 * cloud(rng, height, 1, max(14.0, height / 2.5), 1.0), -0.35, 0.35)
    power = 2.0 if height < 1.6 * width else 4.0
    shape = 1.15 - (1.25 * (x - bow)) ** 2 - np.abs(y / 0.94) ** power
    warp = 0.32 * cloud(rng, height, width, cell, cell) + 0.09 * cloud(rng, height, width, 5.0, 5.0)
    fray = 0.07 * grain(rng, height, width, 1.3, 0.9)
    # Nothing may be cut off straight at the window's edge.
    margin = np.minimum(1.0 - np.abs(x), 1.0 - np.abs(y)) * 3.0
    return as_field(np.minimum(shape + warp + fray, margin - 0.25 + fray))
