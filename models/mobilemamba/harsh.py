"""Frames of a contrast beyond all training: a network may find anything on them, but has to answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CHECK_PX = 4


def harsh_pictures(height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Black and white, uint8 [6, 1, H, W]: halves both ways, a checkerboard, a disc, its negative, noise."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    distance = (y - height_px / 2) ** 2 + (x - width_px / 2) ** 2
    disc = distance < (0.3 * min(height_px, width_px)) ** 2
    noise = np.random.default_rng(0).random((height_px, width_px)) < 0.5
    masks = (
        x < width_px // 2,
        y < height_px // 2,
        (x // _CHECK_PX + y // _CHECK_PX) % 2 == 0,
        disc,
        ~disc,
        noise,
    )
    return np.stack(masks)[:, None].astype(np.uint8) * np.uint8(255)
