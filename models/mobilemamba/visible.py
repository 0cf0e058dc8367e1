"""What is left of boxes when a picture is cut: the one rule of every augmentation that cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE_PX = 2.0


def cut_to(
    boxes_xyxy: NDArray[np.floating], window_xyxy: tuple[int, int, int, int], least_visible: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes cut to a window, those that are still to be seen, and which of the given ones they are.

    Args:
        boxes_xyxy: [N, 4], pixels.
        window_xyxy: pixels.
        least_visible: a box cut down below this share of its area, or thinner than two pixels, is dropped.

    Returns:
        float32 [K, 4], and bool [N].
    """
    area = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    low = boxes_xyxy[:, :2].clip(window_xyxy[:2], window_xyxy[2:])
    high = boxes_xyxy[:, 2:].clip(window_xyxy[:2], window_xyxy[2:])
    side = high - low
    kept = (side.min(axis=1) >= SMALLEST_SIDE_PX) & (side.prod(axis=1) >= least_visible * area)
    return np.concatenate((low, high), axis=1)[kept].astype(np.float32), kept
