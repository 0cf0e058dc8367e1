"""From a detector's dense outputs to the few boxes worth telling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import iou_matrix


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
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while waiting.size and len(kept) < max_detections:
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        # Only rivals of the same class are measured: each round costs what is left of one class,
        # not all of N.
        rivals = waiting[class_ids[waiting] == class_ids[best]]
        overlaps = iou_matrix(boxes_xyxy[best], boxes_xyxy[rivals])[0]
        fallen = rivals[overlaps > iou_threshold]
        if fallen.size:
            waiting = waiting[np.isin(waiting, fallen, invert=True)]
    return np.array(kept, dtype=np.int64)
