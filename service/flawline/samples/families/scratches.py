"""Scratches: bright scores along or across the strip, single or in bundles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import Field, cloud, grain, ramp
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Scratches:
    """Bright scores on smooth, dark steel."""

    name: str = "scratches"
    follows_strip: bool = True

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Dark and smooth with faint marks along the direction of the scores."""
        return SteelLook(
            mean=float(np.clip(rng.normal(82.0, 26.0), 40.0, 138.0)),
            light_down=float(rng.normal(0.0, 14.0)),
            light_right=float(rng.normal(0.0, 14.0)),
            bands=float(rng.uniform(0.6, 3.0)),
            band_px=24.0,
            blotches=float(rng.uniform(0.8, 3.2)),
            blotch_px=22.0,
            streaks=float(rng.uniform(0.4, 1.4)),
            streak_px=6.0,
            grain=float(rng.uniform(1.0, 2.6)),
            grain_px=0.75,
            vertical=bool(rng.random() < 0.6),
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Along the score 30..200, across it 10..34."""
        along = int(min(200.0, rng.triangular(30.0, 200.0, 240.0)))
        across_px = int(np.clip(9.0 + rng.exponential(7.0), 10.0, 36.0))
        return along, across_px

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """One to five parallel lines that swell, fade and break together."""
        lines = _bundle(rng, height, width)
        rise = max(34.0, rng.uniform(0.45, 1.5) * ground) * rng.uniform(0.9, 1.3)
        return Stamp.added(lines * (min(rise, 235.0 - ground)))


def _bundle(rng: np.random.Generator, height: int, width: int) -> Field:
    """Brightness 0..1 of a bundle of scores running along axis 0, [height, width]."""
    columns = np.arange(width, dtype=np.float32)[None, :]
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    lean = (rng.normal(0.0, 0.10) * width) * y
    lean = lean + 0.3 * cloud(rng, height, 1, 30.0, 1.0)
    ends = ramp(1.0 - np.abs(y), 0.0, rng.uniform(0.02, 0.30))
    total = np.zeros((height, width), dtype=np.float32)
    count = int(rng.integers(1, 3)) if width < 14 else int(rng.integers(2, 6))
    for _ in range(count):
        centre = (0.5 + rng.uniform(-0.26, 0.26) * (1.0 if count > 1 else 0.3)) * width
        thickness = rng.uniform(0.7, 0.16 * width / count + 1.4)
        offside = (columns - centre - lean) / (2.0 * thickness)
        profile = 1.0 - offside**2
        steadiness = np.clip(
            0.7 + 0.35 * cloud(rng, height, 1, rng.uniform(3.0, 24.0), 1.0), 0.0, 1.3
        )
        total = np.maximum(total, ramp(profile, 0.0, 1.0) * steadiness * rng.uniform(0.45, 1.0))
    glow = 1.0 - ((columns - 0.5 * width - lean) / (0.5 * width)) ** 2
    total = total + 0.14 * ramp(glow, 0.0, 1.0)
    rough = np.clip(1.0 + 0.16 * grain(rng, height, width, 1.2, 0.6), 0.5, 1.5)
    bundle: Field = total * rough * ends
    return np.clip(bundle, 0.0, 1.3)
