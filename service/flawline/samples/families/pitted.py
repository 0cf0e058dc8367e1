"""Pitted surface: fields of small dark pits, sparse or dense, on bright steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import Field, across, as_field, cloud, grain, ramp, soften
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class PittedSurface:
    """Pits spread over most of a bright, smoothly lit frame."""

    name: str = "pitted_surface"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Bright and smooth, with light that often falls off strongly over the frame."""
        return SteelLook(
            mean=float(np.clip(rng.normal(196.0, 44.0), 84.0, 262.0)),
            light_down=rng.normal(0.0, 26.0 if rng.random() < 0.7 else 100.0),
            light_right=rng.normal(0.0, 48.0),
            bands=rng.uniform(1.5, 8.0),
            band_px=rng.uniform(24.0, 50.0),
            blotches=rng.uniform(2.0, 7.0),
            blotch_px=rng.uniform(20.0, 40.0),
            coarse_grain=rng.uniform(0.8, 3.6),
            coarse_px=1.4,
            grain=rng.uniform(1.4, 3.0),
            grain_px=0.8,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Most of the frame: width 46..199, height 104..199."""
        return int(rng.triangular(115, 230, 245)), int(rng.triangular(60, 180, 260))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """Mostly a dense leathery field of small pits, sometimes fewer and larger ones."""
        y, x = across(height, width)
        rim_px = np.minimum((1.0 - np.abs(y)) * 0.5 * height, (1.0 - np.abs(x)) * 0.5 * width)
        # Pits get rarer and shallower towards the rim instead of stopping at a line.
        fade_px = rng.uniform(0.08, 0.30) * min(height, width)
        reach = ramp(rim_px + 4.0 * cloud(rng, height, width, 14.0, 14.0), 0.0, fade_px)
        crowd = 0.25 * cloud(rng, height, width, 80.0, 45.0) - 0.8 * (1.0 - reach)
        kind = rng.random()
        if kind < 0.65:
            pits = _field_of_pits(rng, height, width, rng.uniform(0.85, 1.25))
            dark = ramp(pits + crowd, rng.uniform(-1.2, 0.1), 2.4)
        elif kind < 0.85:
            pits = _field_of_pits(rng, height, width, rng.uniform(1.3, 1.8))
            dark = ramp(pits + crowd, rng.uniform(0.1, 0.7), 2.4)
        else:
            pits = _field_of_pits(rng, height, width, rng.uniform(2.0, 2.6))
            dark = ramp(pits + crowd, 0.9, 2.4)
        few_large = ramp(_field_of_pits(rng, height, width, 2.2) + crowd, 2.0, 2.9)
        dark = np.maximum(dark, 0.9 * few_large) * (0.45 + 0.55 * reach) * ramp(rim_px, 0.0, 3.0)
        depth = ground.step(rng.uniform(0.16, 0.42), least=26.0)
        return Stamp.added(-depth * soften(dark, 0.45))


def _field_of_pits(rng: np.random.Generator, height: int, width: int, size_px: float) -> Field:
    """Noise whose peaks lie apart like pits, deviation about 1, [height, width]."""
    fine = grain(rng, height, width, size_px * 1.2, size_px)
    # Taking out what is coarser than a pit evens out their spacing.
    return as_field(1.1 * (fine - 0.7 * soften(fine, 2.2 * size_px)))
