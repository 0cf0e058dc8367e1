"""Inclusions: foreign matter rolled out into dark, ragged spindles along the strip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawline.samples.families.stamp import Stamp
from flawline.samples.fields import Field, across, cloud, grain, ramp
from flawline.samples.steel import SteelLook


@dataclass(frozen=True)
class Inclusion:
    """Dark spindles on smooth, rather dark steel."""

    name: str = "inclusion"
    follows_strip: bool = True

    def look(self, rng: np.random.Generator) -> SteelLook:
        """Smooth steel, usually dark, sometimes (one in nine) brightly lit."""
        bright = rng.random() < 0.11
        mean = rng.uniform(160.0, 205.0) if bright else rng.normal(100.0, 17.0)
        return SteelLook(
            mean=float(np.clip(mean, 64.0, 210.0)),
            light_down=float(rng.normal(0.0, 9.0)),
            light_right=float(rng.normal(0.0, 30.0 if bright else 16.0)),
            bands=float(rng.uniform(0.5, 2.5)),
            band_px=30.0,
            blotches=float(rng.uniform(0.5, 2.2)),
            blotch_px=28.0,
            streaks=float(rng.uniform(0.6, 1.8)),
            streak_px=5.0,
            grain=float(rng.uniform(1.3, 2.6)),
            grain_px=0.75,
        )

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """Along the strip 26..196, across it 14..55."""
        along = min(200.0, 28.0 + rng.exponential(62.0))
        across_px = 12.0 + rng.exponential(9.0) + 0.08 * along
        return int(along), int(min(60.0, across_px))

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: float) -> Stamp:
        """A ragged spindle, or a swarm of short dashes inside a spindle's outline."""
        envelope = _spindle(rng, height, width)
        if rng.random() < 0.3 and height > 30:
            body = _dashes(rng, envelope)
        else:
            ragged = envelope + 0.30 * grain(rng, height, width, 6.0, 1.1)
            body = ramp(ragged, 0.12, 0.55) * ramp(envelope, 0.0, 0.15)
            streaky = 1.0 + 0.28 * grain(rng, height, width, 5.0, 0.9)
            body = body * np.clip(streaky, 0.35, 1.5)
        halo = ramp(envelope, 0.0, 0.7) * 0.10
        depth = max(20.0, ground * rng.uniform(0.22, 0.45))
        return Stamp.added((body + halo) * -depth)


def _spindle(rng: np.random.Generator, height: int, width: int) -> Field:
    """1 along a wandering axis down to below 0 at the outline, [height, width]."""
    y, x = across(height, width)
    axis = 0.16 * cloud(rng, height, 1, max(8.0, height / 3), 1.0)
    girth = 0.75 + 0.14 * cloud(rng, height, 1, max(5.0, height / 6), 1.0)
    girth = girth * np.clip(1.25 * (1.0 - y**4), 0.0, 1.0)
    inside: Field = 1.0 - np.abs(x - np.clip(axis, -0.3, 0.3)) / np.maximum(girth, 0.08)
    return inside


def _dashes(rng: np.random.Generator, envelope: Field) -> Field:
    """Short dark dashes along the strip where the envelope is positive."""
    height, width = envelope.shape
    field = grain(rng, height, width, 4.5, 1.0)
    dashes: Field = ramp(field, 0.75, 1.5) * ramp(envelope, 0.0, 0.35) * 1.15
    return dashes
