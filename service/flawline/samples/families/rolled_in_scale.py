"""Rolled-in scale: clusters of short dark flakes pressed into scuffed steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import across, cloud, grain, ramp
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class RolledInScale:
    """Flakes on mid-grey steel whose scuffs run sideways."""

    name: str = "rolled-in_scale"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Mid-grey; fine scuffs nearly across the frame, tilted a little upwards."""
        return SteelLook(
            mean=float(np.clip(rng.normal(118.0, 24.0), 72.0, 152.0)),
            light_down=float(rng.normal(0.0, 18.0)),
            light_right=float(rng.normal(0.0, 8.0)),
            bands=float(rng.uniform(0.5, 2.0)),
            band_px=30.0,
            blotches=float(rng.uniform(2.5, 5.5)),
            blotch_px=16.0,
            streaks=float(rng.uniform(5.0, 7.5)),
            streak_px=3.0,
            streak_slope=float(rng.uniform(-0.45, 0.1)),
            grain=float(rng.uniform(4.5, 6.5)),
            grain_px=0.55,
            vertical=False,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Clusters: width 37..125, height 28..143."""
        height = np.clip(rng.lognormal(4.22, 0.48), 26.0, 170.0)
        return int(height), int(np.clip(rng.lognormal(4.22, 0.36), 34.0, 140.0))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """Flakes with a sharp dark edge, the steel between them pressed a little brighter."""
        y, x = across(height, width)
        reach = 1.0 - np.maximum(np.abs(x) ** 3, np.abs(y) ** 3)
        reach = reach + 0.10 * cloud(rng, height, width, 14.0, 14.0)
        inside = ramp(reach, 0.02, 0.30)
        flakes = grain(rng, height, width, 1.25, 2.6) + 0.25 * cloud(rng, height, width, 18.0, 22.0)
        bare = rng.uniform(1.0, 1.35)
        dark = ramp(flakes, bare, bare + 0.75) * inside
        light = ramp(-flakes, 0.4, 1.6) * inside
        depth = max(26.0, ground * rng.uniform(0.34, 0.52))
        polish = ground * rng.uniform(0.02, 0.12)
        offset = dark * -depth + light * (1.0 - dark) * polish
        return Stamp.added(offset)
