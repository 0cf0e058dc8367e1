"""From a detector's dense outputs to the few boxes worth telling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import iou_matrix

_BLOCK = 128
"""Boxes compared at once: enough to let numpy work, few enough to stop early and stay in cache."""


def select_candidates(
    scores: NDArray[np.float32], min_scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Every (anchor, class) whose score reaches its class's threshold; an anchor may serve several.

    Args:
        scores: [A, C] in 0..1.
        min_scores: [C]; a score equal to its threshold is kept.

    Returns:
        anchor ids [K] into A, class ids [K] into C and their scores [K], in the order of anchors.
    """
    anchor_ids, class_ids = np.nonzero(scores >= min_scores)
    return anchor_ids, class_ids, scores[anchor_ids, class_ids]


def nms(
    boxes_xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    iou_threshold: float,
    max_detections: int,
) -> NDArray[np.int64]:
    """Greedy suppression within classes: a box falls to a better one that overlaps it too much.

    Args:
        boxes_xyxy: [N, 4] in any one frame's pixels.
        scores: [N].
        class_ids: [N].
        iou_threshold: 0..1; an overlap above it is too much.
        max_detections: how many to keep at most, over all classes together.

    Returns:
        kept indices [K] into N, best score first; equal scores keep the order they came in, so the
        result is repeatable.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, classes = boxes_xyxy[order], class_ids[order]
    kept: list[int] = []
    for start in range(0, len(order), _BLOCK):
        if len(kept) >= max_detections:
            break
        fresh = np.arange(start, min(start + _BLOCK, len(order)))
        if kept:
            fresh = fresh[~_too_close(boxes, classes, fresh, np.array(kept), iou_threshold).any(1)]
        falls_to = _too_close(boxes, classes, fresh, fresh, iou_threshold)
        stands = np.ones(len(fresh), dtype=np.bool_)
        for i, position in enumerate(fresh.tolist()):
            if stands[i]:
                kept.append(position)
                stands &= ~falls_to[i]
    return order[kept[:max_detections]]


def _too_close(
    boxes_xyxy: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    iou_threshold: float,
) -> NDArray[np.bool_]:
    """Which of `rows` (indices [R]) overlap which of `columns` (indices [K]) too much: [R, K]."""
    same_class = class_ids[rows, None] == class_ids[columns]
    close = iou_matrix(boxes_xyxy[rows], boxes_xyxy[columns]) > iou_threshold
    verdict: NDArray[np.bool_] = same_class & close
    return verdict
