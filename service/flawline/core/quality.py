"""Whether a frame can be trusted, from its grey levels alone: cheap, and before the network runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawline.core.frame_limits import FrameLimits, FrameQuality
from flawline.core.sharpness import sharpness

__all__ = ["MEASURES", "FrameLimits", "FrameQuality", "measure"]

MEASURES = ("brightness", "contrast", "sharpness", "saturated")
_WHITES = bytes(range(250, 256))
_FULL_SCALE = 255.0
# Fewer than 500 in all: for more numpy lets others have the interpreter at every step, and waits to have it back.
_SAMPLES_PER_SIDE = 22
# Of squares of grey levels; below it lies the noise of float32.
_LEAST_VARIANCE = 1e-2


def measure(grey: NDArray[np.uint8]) -> FrameQuality:
    """Measure a decoded frame, uint8 [H, W], on a grid and on tiles: a larger frame costs no more."""
    height_px, width_px = grey.shape
    down, across = -(-height_px // _SAMPLES_PER_SIDE), -(-width_px // _SAMPLES_PER_SIDE)
    samples = grey[::down, ::across]
    # Bytes where they suffice: the network has pushed numpy's code out of the caches, and the interpreter's less so.
    levels, of_squares = samples.tobytes(), samples.astype(np.float32).ravel()
    count = len(levels)
    mean = sum(levels) / count
    variance = float(of_squares @ of_squares) / count - mean**2
    if variance < _LEAST_VARIANCE:
        variance = 0.0
    return FrameQuality(
        brightness=mean / _FULL_SCALE,
        contrast=variance**0.5 / _FULL_SCALE,
        sharpness=sharpness(grey, mean) if variance else 0.0,
        saturated=(count - len(levels.translate(None, _WHITES))) / count,
    )
