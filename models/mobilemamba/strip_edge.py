"""Augmentation: the camera sees past the edge of the strip, where it is black, or glares."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mobilemamba.visible import cut_to

SHARE = (0.05, 0.4)  # of the input's side that lies beyond the edge
DARK_SHARE = 0.8  # of the edges; the others glare
MOST_OFF = 12  # grey levels from black or white


def past_the_edge(
    grey: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], rng: Generator, least_visible: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """A side of the picture painted over, the boxes that are left, and which of those given they are.

    Args:
        grey: uint8 [H, W].
        boxes_xyxy: float32 [N, 4], pixels.
        rng: the only source of chance.
        least_visible: a box cut down below this share of its area is dropped.
    """
    rows, columns = grey.shape
    window = [0, 0, columns, rows]
    side = int(rng.integers(4))
    along = (columns, rows)[side % 2]
    cut = round(along * float(rng.uniform(*SHARE)))
    window[side] = cut if side < 2 else along - cut
    level = int(rng.integers(MOST_OFF + 1))
    left, top, right, bottom = window
    painted = level if rng.random() < DARK_SHARE else 255 - level
    return painted_beyond(grey, boxes_xyxy, (left, top, right, bottom), painted, least_visible)


def painted_beyond(
    grey: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float32],
    window_xyxy: tuple[int, int, int, int],
    level: int,
    least_visible: float,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """All but a window at one grey level; arguments and result are those of `past_the_edge`."""
    left, top, right, bottom = window_xyxy
    beyond = np.full_like(grey, level)
    beyond[top:bottom, left:right] = grey[top:bottom, left:right]
    boxes, kept = cut_to(boxes_xyxy, window_xyxy, least_visible)
    return beyond, boxes, kept
