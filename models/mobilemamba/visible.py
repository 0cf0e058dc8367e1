"""What is left of boxes when a picture is cut: the one rule of every augmentation that cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_CUT_SIDE_PX = 2.0  # a side that was cut shorter than this shows too little to be learned
SMALLEST_SIDE_PX = (
    0.1  # a side that no cut made shorter may be thin, as scratches are, but not nothing
)


def cut_to(
    boxes_xyxy: NDArray[np.floating], window_xyxy: tuple[int, int, int, int], least_visible: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes cut to a window, those that are still to be seen, and which of the given ones they are.

    Args:
        boxes_xyxy: [N, 4], pixels.
        window_xyxy: pixels.
        least_visible: a box cut down below this share of its area, or to a side below two pixels, is dropped. One
            that was as thin before the cut stays: dropped, its flaw would be taught as a clean surface.

    Returns:
        float32 [K, 4], and bool [N].
    """
    given_low, given_high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    area = (given_high - given_low).prod(axis=1)
    low = given_low.clip(window_xyxy[:2], window_xyxy[2:])
    high = given_high.clip(window_xyxy[:2], window_xyxy[2:])
    side = high - low
    cut = (low != given_low) | (high != given_high)
    wide = side >= np.where(cut, SMALLEST_CUT_SIDE_PX, SMALLEST_SIDE_PX)
    kept = wide.all(axis=1) & (side.prod(axis=1) >= least_visible * area)
    return np.concatenate((low, high), axis=1)[kept].astype(np.float32), kept
