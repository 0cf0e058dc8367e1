"""Scratches: bright scores along or across the strip, single or in bundles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import Field, across, as_field, cloud, grain, ramp, soften
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Scratches:
    """Bright scores on smooth, dark steel."""

    name: str = "scratches"
    follows_strip: bool = True

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Dark and smooth with faint marks along the direction of the scores."""
        return SteelLook(
            mean=float(np.clip(rng.normal(80.0, 28.0), 40.0, 142.0)),
            light_down=rng.normal(0.0, 18.0),
            light_right=rng.normal(0.0, 18.0),
            bands=rng.uniform(0.6, 4.0),
            band_px=rng.uniform(14.0, 40.0),
            blotches=rng.uniform(1.0, 4.0),
            blotch_px=rng.uniform(10.0, 30.0),
            streaks=rng.uniform(0.3, 1.4),
            streak_px=6.0,
            coarse_grain=rng.uniform(0.3, 1.5),
            coarse_px=1.5,
            grain=rng.uniform(1.0, 2.8),
            grain_px=0.75,
            vertical=bool(rng.random() < 0.6),
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Along the score 30..200 and out of the frame, across it 12..36."""
        along = rng.triangular(40.0, 230.0, 280.0)
        over = np.clip(11.0 + rng.exponential(8.0), 12.0, 40.0)
        return int(along), int(over)

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """A bundle of bright lines, or one broad scuffed track, that fades at its ends."""
        y = across(height, width)[0]
        ends = ramp(1.0 - np.abs(y), 0.0, rng.uniform(0.05, 0.5))
        broad = width > 14 and rng.random() < 0.25
        score = _track(rng, height, width) if broad else _bundle(rng, height, width)
        rise = ground.step(rng.uniform(0.55, 1.9), least=45.0)
        return Stamp.added(min(rise, max(45.0, 240.0 - ground.level)) * soften(score * ends, 0.5))


def _axis(rng: np.random.Generator, height: int, width: int) -> Field:
    """Where the middle of a score lies in each row, in px, float32 [height, 1]."""
    y = across(height, width)[0]
    lean = rng.normal(0.0, 0.10) * width * y
    bow = rng.normal(0.0, 0.12) * width * y**2
    return as_field(0.5 * width + lean + bow + 0.25 * cloud(rng, height, 1, 30.0, 1.0))


def _bundle(rng: np.random.Generator, height: int, width: int) -> Field:
    """Brightness 0..1.2 of one to six parallel scores running along axis 0, [height, width]."""
    columns = np.arange(width, dtype=np.float32)[None, :]
    axis = _axis(rng, height, width)
    total = np.zeros((height, width), dtype=np.float32)
    count = int(rng.integers(1, 4)) if width < 18 else int(rng.integers(2, 7))
    for _ in range(count):
        centre = axis + rng.uniform(-0.30, 0.30) * width * (1.0 if count > 1 else 0.2)
        thickness = rng.uniform(0.9, 1.6 + 0.22 * width / count)
        line = ramp(1.0 - ((columns - centre) / thickness) ** 2, 0.0, 1.0)
        slow = 0.75 + 0.25 * cloud(rng, height, 1, rng.uniform(18.0, 60.0), 1.0)
        quick = 1.0 + 0.14 * cloud(rng, height, 1, 3.0, 1.0)
        total = np.maximum(total, line * np.clip(slow * quick, 0.1, 1.2) * rng.uniform(0.4, 1.0))
    glow = ramp(1.0 - ((columns - axis) / (0.5 * width)) ** 2, 0.0, 1.0)
    rough = 1.0 + 0.10 * grain(rng, height, width, 1.0, 0.6)
    return as_field(np.clip((total + 0.16 * glow) * rough, 0.0, 1.2))


def _track(rng: np.random.Generator, height: int, width: int) -> Field:
    """Brightness 0..1.2 of one broad track, streaky along and ticked across, [height, width]."""
    columns = np.arange(width, dtype=np.float32)[None, :]
    axis = _axis(rng, height, width)
    half = 0.34 * width * (1.0 + 0.10 * cloud(rng, height, 1, 12.0, 1.0))
    body = ramp(1.0 - ((columns - axis) / half) ** 2, -0.25, 0.6)
    streaks = 0.65 + 0.30 * cloud(rng, height, width, 70.0, 1.7)
    ticks = 1.0 + 0.10 * cloud(rng, height, 1, 2.5, 1.0)
    drift = 0.85 + 0.25 * cloud(rng, height, 1, 40.0, 1.0)
    return as_field(np.clip(body * streaks * ticks * drift, 0.0, 1.2))
