"""Whether a frame can be trusted, from its grey levels alone: cheap, and before the network runs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flawline.core.frame_limits import FrameLimits, FrameQuality
from flawline.core.sharpness import sharpness

__all__ = ["MEASURES", "FrameLimits", "FrameQuality", "measure"]

MEASURES = ("brightness", "contrast", "sharpness", "saturated")
_WHITE = 250
_FULL_SCALE = 255.0
# Fewer than 500 in all: for more numpy lets others have the interpreter at every step, and waits to have it back.
_SAMPLES_PER_SIDE = 22
# Of squares of grey levels; below it lies the noise of float32.
_LEAST_VARIANCE = 1e-2


def measure(grey: NDArray[np.uint8]) -> FrameQuality:
    """Measure a decoded frame, uint8 [H, W], on a grid and on tiles: a larger frame costs no more."""
    down, across = (max(1, -(-side_px // _SAMPLES_PER_SIDE)) for side_px in grey.shape)
    levels = grey[::down, ::across].astype(np.float32).ravel()
    mean = float(levels @ _ones(levels.size)) / levels.size
    variance = max(0.0, float(levels @ levels) / levels.size - mean**2)
    if variance < _LEAST_VARIANCE:
        variance = 0.0
    return FrameQuality(
        brightness=mean / _FULL_SCALE,
        contrast=variance**0.5 / _FULL_SCALE,
        sharpness=sharpness(grey, mean) if variance else 0.0,
        saturated=int(np.count_nonzero(levels >= _WHITE)) / levels.size,
    )


@lru_cache(maxsize=8)
def _ones(count: int) -> NDArray[np.float32]:
    """To add by: a product is no further code to fetch, once the network has pushed all of it out of the caches."""
    return np.ones(count, dtype=np.float32)
