"""From what the network says of one picture to detections in the frame's own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawline.core.values import PIXEL_DECIMALS, Box, Detection, RawOutput
from flawspec.detections import best_candidates, settle
from flawspec.labels import LabelSet
from flawspec.letterbox import Letterbox

# Below ten-thousandths of a score lies the noise of float32.
_SCORE_DECIMALS = 4


class UnusableOutput(ValueError):  # noqa: N818 - it names what was found
    """The network gave numbers that no verdict can rest on; silence would read as "no flaw"."""


def require_rows(output: RawOutput, pictures: int) -> None:
    """Raises UnusableOutput unless there is one row of boxes and of scores for each picture.

    And where no picture has finite scores: then it is not one of them that is to blame.
    """
    if not len(output.boxes_xyxy) == len(output.scores) == pictures:
        raise UnusableOutput(
            f"{pictures} pictures gave {len(output.boxes_xyxy)} rows of boxes"
            f" and {len(output.scores)} of scores"
        )
    if not any(np.isfinite(scores).all() for scores in output.scores):
        raise UnusableOutput("the scores of no picture are finite")


def find_detections(
    boxes_xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    min_scores: NDArray[np.float32],
    iou_threshold: float,
    letterbox: Letterbox,
    labels: LabelSet,
) -> tuple[Detection, ...]:
    """Threshold, suppress overlaps class by class, and lead back to the frame; best score first.

    Args:
        boxes_xyxy: float32 [A, 4], input pixels.
        scores: float32 [A, C], 0..1, C in the order of `labels`.
        min_scores: float32 [C]; a score equal to its threshold counts.
        iou_threshold: two boxes of one class that overlap by more than this are one flaw.
        letterbox: where the frame lies in the input; what lies wholly in its padding is dropped.
        labels: names of the classes.

    Raises:
        UnusableOutput: for not-a-number scores or boxes, and boxes turned inside out.
    """
    if not np.isfinite(scores).all():
        raise UnusableOutput("scores are not finite")
    anchor_ids, class_ids, found = best_candidates(scores, min_scores)
    candidates = boxes_xyxy[anchor_ids]
    if not (np.isfinite(candidates).all() and (candidates[:, 2:] >= candidates[:, :2]).all()):
        raise UnusableOutput("boxes are not finite, or turned inside out")
    kept, in_frame = settle(candidates, found, class_ids, iou_threshold, letterbox)
    return tuple(
        Detection(
            labels.name_of(int(class_ids[k])), round(float(found[k]), _SCORE_DECIMALS), _box(box)
        )
        for k, box in zip(kept, in_frame, strict=True)
    )


def _box(box_xyxy: NDArray[np.float32]) -> Box:
    return Box(*(round(float(side), PIXEL_DECIMALS) for side in box_xyxy))
