"""Inclusions: foreign matter rolled out into dark, ragged spindles along the strip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.fields import Field, across, as_field, cloud, grain, ramp, soften
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Inclusion:
    """Dark spindles on smooth, rather dark steel."""

    name: str = "inclusion"
    follows_strip: bool = True

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Smooth steel, usually dark, sometimes (one in nine) brightly lit."""
        bright = rng.random() < 0.11
        mean = rng.uniform(160.0, 205.0) if bright else rng.normal(100.0, 18.0)
        return SteelLook(
            mean=float(np.clip(mean, 66.0, 210.0)),
            light_down=rng.normal(0.0, 17.0),
            light_right=rng.normal(0.0, 45.0 if bright else 24.0),
            bands=rng.uniform(0.8, 3.5),
            band_px=rng.uniform(20.0, 45.0),
            blotches=rng.uniform(0.8, 3.0),
            blotch_px=rng.uniform(14.0, 34.0),
            streaks=rng.uniform(0.5, 1.5),
            streak_px=4.0,
            coarse_grain=rng.uniform(0.3, 1.2),
            coarse_px=1.8,
            grain=rng.uniform(1.5, 2.6),
            grain_px=0.75,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Along the strip 26..196, across it 14..55."""
        along = min(220.0, 30.0 + rng.exponential(64.0))
        over = 14.0 + rng.exponential(10.0) + 0.10 * along
        return int(along), int(min(66.0, over))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """A ragged spindle among shorter, paler ones; or only a swarm of short dashes."""
        envelope = _spindle(rng, height, width, girth=0.8)
        swarm = _dashes(rng, envelope)
        if rng.random() < 0.3 and height > 30:
            dark = swarm
        else:
            core = _spindle(rng, height, width, girth=rng.uniform(0.30, 0.62))
            ragged = core + 0.28 * grain(rng, height, width, 8.0, 1.3)
            body = ramp(ragged, 0.05, 0.45) * ramp(core, -0.35, 0.1)
            mottled = np.clip(0.95 + 0.14 * grain(rng, height, width, 9.0, 1.8), 0.5, 1.3)
            dark = np.maximum(body * mottled, rng.uniform(0.3, 0.9) * swarm)
        depth = ground.step(rng.triangular(0.13, 0.19, 0.42), least=18.0)
        return Stamp.added(-depth * soften(dark, 0.8))


def _spindle(rng: np.random.Generator, height: int, width: int, girth: float) -> Field:
    """1 along a wandering axis, 0 at the outline and negative beyond it, [height, width].

    girth: half the spindle's width in its middle, as a share of half the window.
    """
    y, x = across(height, width)
    room = 1.0 - girth
    axis = np.clip(0.35 * room * cloud(rng, height, 1, max(14.0, height / 2.5), 1.0), -room, room)
    swell = 1.0 + 0.25 * cloud(rng, height, 1, max(5.0, height / 5), 1.0)
    half = np.maximum(girth * swell * np.clip(1.15 * (1.0 - y * y * np.abs(y)), 0.0, 1.0), 0.06)
    return as_field(1.0 - np.abs(x - axis) / half)


def _dashes(rng: np.random.Generator, envelope: Field) -> Field:
    """Short dark dashes along the strip where the envelope is positive."""
    height, width = envelope.shape
    field = grain(rng, height, width, 5.0, 1.15)
    return as_field(ramp(field, 0.7, 1.8) * ramp(envelope, 0.0, 0.4))
