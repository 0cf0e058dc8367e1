"""Rolled-in scale: clusters of short dark flakes pressed into scuffed steel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import across, cloud, grain, ramp, soften
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class RolledInScale:
    """Flakes on mid-grey steel whose scuffs run sideways."""

    name: str = "rolled-in_scale"
    follows_strip: bool = False

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Mid-grey and mottled; fine scuffs across the frame, tilted a little upwards."""
        mean = float(np.clip(rng.normal(119.0, 24.0), 72.0, 152.0))
        rough = 0.5 + 0.5 * mean / 120.0
        return SteelLook(
            mean=mean,
            light_down=rng.normal(0.0, 8.0),
            light_right=rng.normal(0.0, 20.0),
            bands=rough * rng.uniform(3.0, 8.0),
            band_px=rng.uniform(24.0, 50.0),
            blotches=rough * rng.uniform(4.0, 7.0),
            blotch_px=rng.uniform(10.0, 18.0),
            streaks=rough * rng.uniform(3.6, 6.0),
            streak_px=2.8,
            streak_slope=rng.uniform(-0.4, 0.02),
            streaks_across=True,
            coarse_grain=rough * rng.uniform(3.0, 5.0),
            coarse_px=1.9,
            grain=rough * rng.uniform(5.5, 7.0),
            grain_px=0.52,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Clusters: width 37..125, height 28..143."""
        height = np.clip(rng.lognormal(4.36, 0.48), 30.0, 185.0)
        return int(height), int(np.clip(rng.lognormal(4.36, 0.36), 38.0, 155.0))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """Soft flakes, some of them clumped, on steel pressed a little brighter."""
        y, x = across(height, width)
        reach = 1.0 - np.maximum(np.abs(x) ** 3, np.abs(y) ** 3)
        reach = reach + 0.10 * cloud(rng, height, width, 14.0, 14.0)
        inside = ramp(reach, 0.02, 0.30)
        flakes = (
            0.9 * grain(rng, height, width, 1.5, 3.1)
            + 0.25 * grain(rng, height, width, 0.8, 1.3)
            + 0.45 * cloud(rng, height, width, 14.0, 20.0)
        )
        bare = rng.uniform(0.7, 1.2)
        dark = ramp(flakes, bare, bare + 1.4) * inside
        light = ramp(-flakes, -0.2, 1.6) * inside
        depth = ground.step(rng.uniform(0.36, 0.56), least=30.0)
        polish = ground.level * rng.uniform(0.0, 0.14)
        return Stamp.added(soften(polish * light - depth * dark, 0.8))
