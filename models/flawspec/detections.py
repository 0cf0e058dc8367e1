"""What a network says of one picture, thinned out to what is told: the one path of serving and of measuring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawspec.letterbox import Letterbox
from flawspec.nms import nms, select_candidates

# A threshold near 0 lets every anchor of every class through; to suppress all would cost seconds.
MAX_CANDIDATES = 1000
MAX_DETECTIONS = 100
LEAST_SIDE_PX = 0.01
"""Of a box in the frame: the hundredth that boxes are told to. What shows less lies in the padding."""


def best_candidates(
    scores: NDArray[np.float32], min_scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """As `nms.select_candidates`, but of more than MAX_CANDIDATES the best, these in order of their scores."""
    anchor_ids, class_ids, found = select_candidates(scores, min_scores)
    if len(found) > MAX_CANDIDATES:
        best = np.argsort(-found, kind="stable")[:MAX_CANDIDATES]
        return anchor_ids[best], class_ids[best], found[best]
    return anchor_ids, class_ids, found


def settle(
    boxes_xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    iou_threshold: float,
    letterbox: Letterbox,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Suppress overlaps class by class, lead back to the frame, and drop what lies wholly in the padding.

    Args:
        boxes_xyxy: of the candidates, [N, 4], input pixels.
        scores: likewise, [N].
        class_ids: likewise, [N].
        iou_threshold: two boxes of one class that overlap by more than this are one flaw.
        letterbox: where the frame lies in the input.

    Returns:
        kept indices [K] into N, best score first, at most MAX_DETECTIONS; their boxes [K, 4] in frame pixels.
    """
    kept = nms(boxes_xyxy, scores, class_ids, iou_threshold, MAX_DETECTIONS)
    in_frame = letterbox.to_frame(boxes_xyxy[kept])
    shown = (in_frame[:, 2:] - in_frame[:, :2] >= LEAST_SIDE_PX).all(axis=1)
    return kept[shown], in_frame[shown]
