"""Pitted surface: fields of small dark pits, sparse or dense, on bright steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import across, cloud, grain, ramp
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class PittedSurface:
    """Pits spread over most of a bright, smoothly lit frame."""

    name: str = "pitted_surface"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Bright and smooth, with light that falls off strongly over the frame."""
        return SteelLook(
            mean=float(np.clip(rng.normal(196.0, 42.0), 82.0, 246.0)),
            light_down=float(rng.normal(0.0, 26.0)),
            light_right=float(rng.normal(0.0, 36.0)),
            bands=float(rng.uniform(1.0, 6.0)),
            band_px=36.0,
            blotches=float(rng.uniform(1.0, 5.0)),
            blotch_px=34.0,
            grain=float(rng.uniform(1.6, 4.0)),
            grain_px=0.8,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Most of the frame: width 46..199, height 104..199."""
        return int(rng.triangular(100, 195, 200)), int(rng.triangular(50, 165, 200))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """Pits of one size with a few larger ones, denser in some places than in others."""
        y, x = across(height, width)
        rim = np.minimum(1.0 - np.abs(y), 1.0 - np.abs(x))
        inside = ramp(rim + 0.03 * cloud(rng, height, width, 9.0, 9.0), 0.0, 0.06)
        size_px = rng.uniform(0.9, 1.5)
        pits = grain(rng, height, width, size_px * rng.uniform(1.0, 1.35), size_px)
        scarcity = rng.uniform(0.35, 1.45)
        crowd = 0.35 * cloud(rng, height, width, 60.0, 45.0)
        dark = ramp(pits + crowd, scarcity, scarcity + 1.1)
        coarse = grain(rng, height, width, 2.6, 2.1) + 0.4 * crowd
        dark = np.maximum(dark, ramp(coarse, 1.75, 2.2))
        depth = max(24.0, ground * rng.uniform(0.20, 0.42))
        return Stamp.added(dark * inside * -depth)
