"""The bare surface: light that falls off, rolling bands, blotches, streaks and grain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flawline.samples.fields import Field, across, cloud, grain


@dataclass(frozen=True)
class SteelLook:
    """How one sheet looks; amplitudes in grey levels (0..255), sizes in px.

    `vertical` says which way the strip was rolled: bands run along it, and so do the streaks
    unless `streaks_across`. `streak_slope` tilts the streaks (px aside per px along).
    Coarse grain is what the eye takes for roughness, fine grain is mostly the camera's.
    """

    mean: float
    light_down: float = 0.0
    light_right: float = 0.0
    bands: float = 0.0
    band_px: float = 30.0
    blotches: float = 0.0
    blotch_px: float = 40.0
    streaks: float = 0.0
    streak_px: float = 6.0
    streak_slope: float = 0.0
    streaks_across: bool = False
    coarse_grain: float = 0.0
    coarse_px: float = 1.6
    grain: float = 2.0
    grain_px: float = 0.7
    vertical: bool = True

    @property
    def texture(self) -> float:
        """Deviation in grey levels of what varies from pixel to pixel: grain and streaks."""
        return math.hypot(self.grain, self.coarse_grain, self.streaks)


def draw_steel(rng: np.random.Generator, look: SteelLook, height: int, width: int) -> Field:
    """A defect-free surface in grey levels, float32 [height, width], neither rounded nor clipped.

    Overexposed steel lies above 255, so that a dark flaw on it still shows the steel's texture.
    """
    if look.vertical:
        surface = _draw_vertical(rng, look, height, width)
    else:
        surface = np.ascontiguousarray(_draw_vertical(rng, look, width, height).T)
    y, x = across(height, width)
    surface += look.mean + 0.5 * look.light_down * y + 0.5 * look.light_right * x
    return surface


def _draw_vertical(rng: np.random.Generator, look: SteelLook, height: int, width: int) -> Field:
    """Texture around 0 of a sheet rolled along axis 0, float32 [height, width]."""
    texture: Field = look.grain * grain(rng, height, width, look.grain_px, look.grain_px)
    if look.coarse_grain:
        texture += look.coarse_grain * grain(
            rng, height, width, 1.3 * look.coarse_px, look.coarse_px
        )
    if look.bands:
        wide = cloud(rng, 1, width, 1.0, look.band_px)
        narrow = cloud(rng, 1, width, 1.0, look.band_px / 5)
        texture += look.bands * wide + 0.35 * look.bands * narrow
    if look.blotches:
        texture += look.blotches * cloud(rng, height, width, 1.6 * look.blotch_px, look.blotch_px)
    if look.streaks:
        texture += look.streaks * _streaks(rng, look, height, width)
    return texture


def _streaks(rng: np.random.Generator, look: SteelLook, height: int, width: int) -> Field:
    """Fine lines along axis 0, or across it, tilted and wandering a little, [height, width]."""
    if look.streaks_across:
        return np.ascontiguousarray(_tilted_lines(rng, look, width, height).T)
    return _tilted_lines(rng, look, height, width)


def _tilted_lines(rng: np.random.Generator, look: SteelLook, height: int, width: int) -> Field:
    """Fine lines along axis 0, leaning by the slope, [height, width]."""
    if not look.streak_slope:
        return grain(rng, height, width, look.streak_px, 0.6)
    lean = np.arange(height, dtype=np.float32) * look.streak_slope
    lean += 3.0 * cloud(rng, height, 1, 90.0, 1.0)[:, 0]
    shift = np.rint(lean - lean.min()).astype(np.intp)
    straight = grain(rng, height, width + int(shift.max()), look.streak_px, 0.6)
    columns = shift[:, None] + np.arange(width, dtype=np.intp)[None, :]
    return np.take_along_axis(straight, columns, axis=1)
