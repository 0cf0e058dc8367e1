"""Whether a frame can be trusted, from its grey levels alone: cheap, and before the network runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.core.values import Reason

MEASURES = ("brightness", "contrast", "sharpness", "saturated")
_WHITE = 250
_FULL_SCALE = 255.0
# Enough for the figures; a larger frame costs no more.
_SAMPLES_PER_SIDE = 64
# Of squares of grey levels; below it lies the noise of float32.
_LEAST_VARIANCE = 1e-2
# Brenner's distance: it sees through the noise of single pixels better than neighbours do.
_APART_PX = 2


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """What the grey levels of one frame say of the camera.

    brightness: their mean, 0..1 of full scale. contrast: their standard deviation, 0..0.5 of full
    scale. sharpness: how much two pixels, two apart, differ (root mean square, over the contrast):
    about 1.4 for noise, towards 0 for a blurred frame, 0 for a flat one. saturated: share of the
    pixels that are white, 0..1.
    """

    brightness: float
    contrast: float
    sharpness: float
    saturated: float


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Beyond these no verdict can rest on a frame; the defaults allow all."""

    min_brightness: float = 0.0
    max_saturated: float = 1.0
    min_contrast: float = 0.0
    min_sharpness: float = 0.0

    def fault(self, quality: FrameQuality) -> Reason | None:
        """Why the frame is not to be trusted: it is black, over-exposed, flat or blurred."""
        if quality.brightness < self.min_brightness:
            return _below("black", "Brightness", quality.brightness, self.min_brightness)
        if quality.saturated > self.max_saturated:
            share = f"{quality.saturated:.3f} of the frame is white, at most {self.max_saturated:g}"
            return Reason("over_exposed", f"{share} may be.")
        if quality.contrast < self.min_contrast:
            return _below("flat", "Contrast", quality.contrast, self.min_contrast)
        if quality.sharpness < self.min_sharpness:
            return _below("blurred", "Sharpness", quality.sharpness, self.min_sharpness)
        return None


def measure(grey: NDArray[np.uint8]) -> FrameQuality:
    """Measure a decoded frame, uint8 [H, W], on a grid of some thousand of its pixels.

    Sharpness is Brenner's focus measure (Brenner et al., "An automated microscope for cytologic
    research", J. Histochem. Cytochem. 24, 1976) along both axes, in full resolution at the points
    of the grid, over the variance: so it does not follow the light.
    """
    height_px, width_px = grey.shape
    down, across = max(1, height_px // _SAMPLES_PER_SIDE), max(1, width_px // _SAMPLES_PER_SIDE)
    grid = grey[::down, ::across]
    levels = grid.astype(np.float32).ravel()
    mean = float(np.add.reduce(levels)) / levels.size
    variance = max(0.0, float(levels @ levels) / levels.size - mean**2)
    if variance < _LEAST_VARIANCE:
        variance = 0.0
    energy = _mean_square_difference(grey, down, across) if variance else 0.0
    return FrameQuality(
        brightness=mean / _FULL_SCALE,
        contrast=variance**0.5 / _FULL_SCALE,
        sharpness=(energy / variance) ** 0.5 if variance else 0.0,
        saturated=np.count_nonzero(levels >= _WHITE) / levels.size,
    )


def _mean_square_difference(grey: NDArray[np.uint8], down: int, across: int) -> float:
    """Of pixels two apart, along rows and columns; 0 where the frame is too small to have any."""
    apart = _APART_PX
    along_rows = _sum_of_squares(grey[::down, apart::across], grey[::down, :-apart:across])
    along_columns = _sum_of_squares(grey[apart::down, ::across], grey[:-apart:down, ::across])
    means = [total / count for total, count in (along_rows, along_columns) if count]
    return sum(means) / len(means) if means else 0.0


def _sum_of_squares(ahead: NDArray[np.uint8], behind: NDArray[np.uint8]) -> tuple[float, int]:
    difference = np.subtract(ahead, behind, dtype=np.float32).ravel()
    return float(difference @ difference), difference.size


def _below(code: str, name: str, value: float, least: float) -> Reason:
    return Reason(code, f"{name} is {value:.4f}, must be {least:g} or more.")
