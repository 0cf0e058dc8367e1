"""From what was found on each tile of a frame to what was found on the frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flawline.core.values import Box, Detection
from flawspec.detections import MAX_DETECTIONS

# Of the smaller of two boxes of one class from two tiles: what both share when they are one flaw.
_SAME_FLAW = 0.5


def joined(tiles: Sequence[Sequence[Detection]]) -> tuple[Detection, ...]:
    """Detections of each tile, in frame pixels, as those of the frame: at most MAX_DETECTIONS, best score first.

    What two tiles show of one flaw becomes one detection: the better score, around both. A flaw larger than the tiles'
    overlap may stay in parts.
    """
    found = [detection for tile in tiles for detection in tile]
    tile_of = np.repeat(np.arange(len(tiles)), [len(tile) for tile in tiles])
    labels = np.array([detection.label for detection in found])
    boxes = np.array([_sides(detection.box) for detection in found]).reshape(-1, 4)
    left = np.ones(len(found), dtype=np.bool_)
    kept: list[Detection] = []
    for i in np.argsort([-detection.score for detection in found], kind="stable").tolist():
        if not left[i]:
            continue
        others = left & (labels == labels[i]) & (tile_of != tile_of[i])
        one = others & (_shared_shares(boxes[i], boxes) >= _SAME_FLAW)
        left &= ~one
        one[i], left[i] = True, False
        around = np.concatenate((boxes[one, :2].min(axis=0), boxes[one, 2:].max(axis=0)))
        # Parts of it that missed the best one, as where four tiles meet.
        left &= ~(others & (_shared_shares(around, boxes) >= _SAME_FLAW))
        kept.append(Detection(found[i].label, found[i].score, Box(*around.tolist())))
        if len(kept) == MAX_DETECTIONS:
            break
    return tuple(kept)


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.x_min, box.y_min, box.x_max, box.y_max


def _shared_shares(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a box [4] shares with each of boxes [N, 4], as a share of the smaller of the two: [N]."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    smaller = np.minimum(np.prod(box[2:] - box[:2]), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    shares: NDArray[np.float64] = shared / smaller
    return shares
