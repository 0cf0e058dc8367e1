"""Whether a frame can be trusted, from its grey levels alone: cheap, and before the network runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.core.sharpness import sharpness
from flawline.core.values import Reason

MEASURES = ("brightness", "contrast", "sharpness", "saturated")
_WHITE = 250
_FULL_SCALE = 255.0
# Enough for the figures.
_SAMPLES_PER_SIDE = 64
# Of squares of grey levels; below it lies the noise of float32.
_LEAST_VARIANCE = 1e-2


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """What the grey levels of one frame say of the camera.

    brightness: their mean, 0..1 of full scale. contrast: their standard deviation, 0..0.5 of full
    scale. sharpness: of `flawline.core.sharpness`, near 1 for steel in focus, towards 0 for a blurred
    frame, 0 for a flat one. saturated: share of the pixels that are white, 0..1.
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
    """Measure a decoded frame, uint8 [H, W], on a grid and on tiles: a larger frame costs no more."""
    height_px, width_px = grey.shape
    down, across = max(1, height_px // _SAMPLES_PER_SIDE), max(1, width_px // _SAMPLES_PER_SIDE)
    levels = grey[::down, ::across].astype(np.float32).ravel()
    mean = float(np.add.reduce(levels)) / levels.size
    variance = max(0.0, float(levels @ levels) / levels.size - mean**2)
    if variance < _LEAST_VARIANCE:
        variance = 0.0
    return FrameQuality(
        brightness=mean / _FULL_SCALE,
        contrast=variance**0.5 / _FULL_SCALE,
        sharpness=sharpness(grey) if variance else 0.0,
        saturated=np.count_nonzero(levels >= _WHITE) / levels.size,
    )


def _below(code: str, name: str, value: float, least: float) -> Reason:
    return Reason(code, f"{name} is {value:.4f}, must be {least:g} or more.")
