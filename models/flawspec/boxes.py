"""Box formats and their areas and overlaps.

A box array is [..., 4] of one frame's pixels; the name of a variable carries the layout: `xyxy` is
x_min, y_min, x_max, y_max; `xywh` is x_min, y_min, width, height (COCO). Pixel edges, not
pixel centres: the whole frame is (0, 0, width, height).
Every function returns a new float32 array and leaves its argument alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]


def xywh_to_xyxy(boxes_xywh: ArrayLike) -> Boxes:
    """From COCO's layout to corners."""
    boxes = np.array(boxes_xywh, dtype=np.float32)
    boxes[..., 2:] += boxes[..., :2]
    return boxes


def xyxy_to_xywh(boxes_xyxy: ArrayLike) -> Boxes:
    """From corners to COCO's layout."""
    boxes = np.array(boxes_xyxy, dtype=np.float32)
    boxes[..., 2:] -= boxes[..., :2]
    return boxes


def clip_xyxy(boxes_xyxy: ArrayLike, width_px: float, height_px: float) -> Boxes:
    """Boxes cut to the frame; one that lies outside becomes one without area on the edge."""
    boxes = np.array(boxes_xyxy, dtype=np.float32)
    boxes[..., 0::2] = boxes[..., 0::2].clip(0, width_px)
    boxes[..., 1::2] = boxes[..., 1::2].clip(0, height_px)
    return boxes


def area_xyxy(boxes_xyxy: ArrayLike) -> NDArray[np.float32]:
    """Areas [...] in square pixels; 0 where a box is turned inside out."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float32)
    sides: NDArray[np.float32] = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def iou_matrix(a_xyxy: ArrayLike, b_xyxy: ArrayLike) -> NDArray[np.float32]:
    """Intersection over union of every a [N, 4] with every b [M, 4].

    float32 [N, M] in 0..1; 0 where neither box has area.
    """
    a = np.asarray(a_xyxy, dtype=np.float32).reshape(-1, 4)
    b = np.asarray(b_xyxy, dtype=np.float32).reshape(-1, 4)
    # One axis at a time: numpy is several times faster on [N, M] planes than on [N, M, 2].
    shared = _shared_lengths(a[:, 0::2], b[:, 0::2])
    shared *= _shared_lengths(a[:, 1::2], b[:, 1::2])
    union = area_xyxy(a)[:, None] + area_xyxy(b) - shared
    iou: NDArray[np.float32] = np.divide(shared, union, out=shared, where=union > 0)
    return iou


def _shared_lengths(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of one axis the spans a [N, 2] and b [M, 2] (low, high) have in common: [N, M]."""
    lengths: NDArray[np.float32] = np.minimum(a[:, 1, None], b[:, 1])
    lengths -= np.maximum(a[:, 0, None], b[:, 0])
    return np.maximum(lengths, 0, out=lengths)
