"""Patches: dark islands with a crumbling shore on overexposed, grainy steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import Field, across, as_field, cloud, grain, ramp
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Patches:
    """Dark islands on bright, coarse steel."""

    name: str = "patches"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Bright and coarse, often clipped to white; one sheet in six dark."""
        dark = rng.random() < 0.16
        mean = rng.uniform(48.0, 95.0) if dark else rng.normal(190.0, 34.0)
        coarse = 0.45 if dark else 1.0
        return SteelLook(
            mean=float(np.clip(mean, 48.0, 250.0)),
            light_down=float(rng.normal(0.0, 14.0)) * coarse,
            light_right=float(rng.normal(0.0, 42.0)) * coarse,
            bands=float(rng.uniform(2.0, 9.0)) * coarse,
            band_px=26.0,
            blotches=float(rng.uniform(6.0, 16.0)) * coarse,
            blotch_px=16.0,
            streaks=float(rng.uniform(3.0, 9.0)) * coarse,
            streak_px=2.0,
            grain=float(rng.uniform(15.0, 24.0)) * coarse,
            grain_px=0.66,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Blobs to long islands: width 27..90, height 27..185."""
        width = np.clip(rng.lognormal(4.0, 0.33), 26.0, 110.0)
        height = np.clip(width * rng.lognormal(0.30, 0.45), 27.0, 196.0)
        return int(height), int(width)

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """An island: flat and darker inside, often with a lighter ring along its shore."""
        shore = _island(rng, height, width)
        crumbs = 0.16 * cloud(rng, height, width, 4.0, 4.0) + 0.10 * grain(
            rng, height, width, 0.7, 0.7
        )
        ragged = shore + crumbs * ramp(shore, -0.25, 0.0)
        alpha = ramp(ragged, 0.0, 0.36)
        level = min(ground - 24.0, max(18.0, ground * rng.uniform(0.30, 0.48)))
        inside = level + 0.10 * ground * cloud(rng, height, width, 22.0, 18.0)
        if rng.random() < 0.5:
            ring = ramp(shore, 0.25, 0.45) * (1.0 - ramp(shore, 0.45, 0.65))
            inside = inside + (0.10 * ground) * ring
        # The steel's own grain shows through, weaker than outside.
        kept = rng.uniform(0.28, 0.42)
        offset = alpha * (np.clip(inside, 8.0, ground - 20.0) - kept * ground)
        return Stamp(1.0 - alpha * (1.0 - kept), offset.astype(np.float32))


def _island(rng: np.random.Generator, height: int, width: int) -> Field:
    """About 1 in the middle of the island, 0 at its shore, negative outside."""
    y, x = across(height, width)
    bow = np.clip(0.16 * cloud(rng, height, 1, max(12.0, height / 2.5), 1.0), -0.3, 0.3)
    girth = 0.80 + 0.15 * cloud(rng, height, 1, max(8.0, height / 4), 1.0)
    power = 2.0 if height < 1.6 * width else 4.0
    ends = 1.0 - np.abs(y / 0.94) ** power
    sides: Field = 1.0 - ((x - bow) / np.clip(girth, 0.4, 0.96)) ** 2
    return as_field(np.minimum(sides, ends * 1.4))
