"""What was taken for what at an artifact's own thresholds, and the single worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import iou_matrix
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections
from mobilemamba.operating_point import MATCH_IOU


@dataclass(frozen=True)
class Mistake:
    """One missed flaw or one false alarm.

    Attributes:
        sample: the picture.
        box_xyxy: [4] in its pixels: the true box that was missed, or the box that was reported.
        class_id: of that box.
        score: of the false alarm; for a miss, the best score of its class that overlapped it (0 for none).
    """

    sample: Sample
    box_xyxy: NDArray[np.float32]
    class_id: int
    score: float


@dataclass(frozen=True)
class Mistakes:
    """`table` is [classes + 1, classes + 1]: true class by reported class, the last row and column "nothing"."""

    table: NDArray[np.int64]
    misses: tuple[Mistake, ...]
    false_alarms: tuple[Mistake, ...]


def find_mistakes(
    dataset: Dataset, detections: list[Detections], thresholds: tuple[float, ...]
) -> Mistakes:
    """Compare what is reported at `thresholds` with the truth; boxes match at IoU 0.5, best scores first.

    Misses come hardest first (lowest score), false alarms most confident first.
    """
    nothing = len(dataset.labels.names)
    table = np.zeros((nothing + 1, nothing + 1), dtype=np.int64)
    limits = np.array(thresholds, dtype=np.float32)
    misses, alarms = [], []
    for sample, found in zip(dataset.samples, detections, strict=True):
        reported = np.flatnonzero(found.scores >= limits[found.class_ids])
        pairs = _pairs(found.boxes_xyxy[reported], sample.boxes_xyxy)
        for row, truth in pairs.items():
            table[sample.class_ids[truth], found.class_ids[reported[row]]] += 1
        for truth in set(range(len(sample.class_ids))) - set(pairs.values()):
            class_id = int(sample.class_ids[truth])
            table[class_id, nothing] += 1
            best = _best_score(sample.boxes_xyxy[truth], class_id, found)
            misses.append(Mistake(sample, sample.boxes_xyxy[truth], class_id, best))
        for row in set(range(len(reported))) - set(pairs):
            index = reported[row]
            class_id = int(found.class_ids[index])
            table[nothing, class_id] += 1
            score = float(found.scores[index])
            alarms.append(Mistake(sample, found.boxes_xyxy[index], class_id, score))
    misses.sort(key=lambda m: m.score)
    alarms.sort(key=lambda m: -m.score)
    return Mistakes(table, tuple(misses), tuple(alarms))


def _pairs(reported_xyxy: NDArray[np.float32], truth_xyxy: NDArray[np.float32]) -> dict[int, int]:
    """Reported row -> true row, whatever their classes; each true box is taken once."""
    if len(reported_xyxy) == 0 or len(truth_xyxy) == 0:
        return {}
    overlap = iou_matrix(reported_xyxy, truth_xyxy)
    pairs = {}
    for row in range(len(overlap)):
        truth = int(overlap[row].argmax())
        if overlap[row, truth] >= MATCH_IOU:
            pairs[row] = truth
            overlap[:, truth] = 0.0
    return pairs


def _best_score(box_xyxy: NDArray[np.float32], class_id: int, found: Detections) -> float:
    own = found.class_ids == class_id
    if not own.any():
        return 0.0
    overlap = iou_matrix(found.boxes_xyxy[own], box_xyxy[None])[:, 0]
    near = found.scores[own][overlap >= MATCH_IOU]
    return float(near.max()) if len(near) else 0.0
