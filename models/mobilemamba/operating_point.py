"""Score thresholds, and what they cost: precision, recall and false alarms at IoU 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawspec.boxes import iou_matrix
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections
from mobilemamba.trained_on import pictures_sha256, places_once

MATCH_IOU = 0.5
NO_CHOICE = 0.5  # threshold of a class that has no true boxes or no hits


@dataclass(frozen=True)
class ClassMatches:
    """All detections of one class on a data set, score descending: float32 [N], bool [N].

    `boxes` is the number of true boxes.
    """

    scores: NDArray[np.float32]
    hits: NDArray[np.bool_]
    boxes: int


@dataclass(frozen=True)
class OperatingPoint:
    """One class at one threshold; precision is 1 where nothing is reported, recall is NaN without true boxes."""

    threshold: float
    precision: float
    recall: float


def match(dataset: Dataset, detections: list[Detections]) -> tuple[ClassMatches, ...]:
    """For each class, which detections hit a true box of it that no better-scored one has taken."""
    matches = []
    for class_id in range(len(dataset.labels.names)):
        scores: list[float] = []
        hits: list[bool] = []
        boxes = 0
        for sample, found in zip(dataset.samples, detections, strict=True):
            own = found.class_ids == class_id
            truth = sample.boxes_xyxy[sample.class_ids == class_id]
            scores += found.scores[own].tolist()
            hits += _hits(found.boxes_xyxy[own], truth)
            boxes += len(truth)
        order = np.argsort(-np.array(scores, dtype=np.float32), kind="stable")
        matches.append(
            ClassMatches(
                np.array(scores, dtype=np.float32)[order], np.array(hits, dtype=bool)[order], boxes
            )
        )
    return tuple(matches)


def best_f1(matches: ClassMatches) -> OperatingPoint:
    """The threshold with the highest F1; `NO_CHOICE` for a class that has no true boxes or no hits.

    Of four decimals where these tell the last detection from the next; else that detection's own score.
    """
    if matches.boxes == 0 or not matches.hits.any():
        return at_threshold(matches, NO_CHOICE)
    true_positives = matches.hits.cumsum()
    f1 = 2 * true_positives / (np.arange(1, len(matches.hits) + 1) + matches.boxes)
    following = np.append(matches.scores[1:], np.float32(0))
    f1[matches.scores == following] = 0  # no threshold parts equal scores
    best = int(f1.argmax())
    score, below = matches.scores[best], following[best]
    half_way = round((float(score) + float(below)) / 2, 4)
    parts = below < np.float32(half_way) <= score
    return at_threshold(matches, half_way if parts else float(score))


def at_threshold(matches: ClassMatches, threshold: float) -> OperatingPoint:
    """Precision and recall of the detections that score `threshold` or more."""
    reported = matches.scores >= threshold
    hits = int(matches.hits[reported].sum())
    precision = hits / int(reported.sum()) if reported.any() else 1.0
    recall = hits / matches.boxes if matches.boxes else float("nan")
    return OperatingPoint(threshold, precision, recall)


def overall(matches: Sequence[ClassMatches], thresholds: Sequence[float]) -> tuple[float, float]:
    """Precision and recall of all classes together, each at its threshold; as for one class where there is none."""
    reported = [m.scores >= np.float32(t) for m, t in zip(matches, thresholds, strict=True)]
    hits = sum(int(m.hits[r].sum()) for m, r in zip(matches, reported, strict=True))
    found, boxes = sum(int(r.sum()) for r in reported), sum(m.boxes for m in matches)
    return hits / found if found else 1.0, hits / boxes if boxes else float("nan")


def false_alarm_pictures(
    samples: tuple[Sample, ...], detections: list[Detections], thresholds: tuple[float, ...]
) -> tuple[int, int]:
    """Among pictures without any true box: how many have a detection at its class threshold, and how many there are.

    Of copies, one counts: none where a copy has true boxes.
    """
    pairs = list(zip(samples, detections, strict=True))
    once = [pairs[place] for place in places_once(samples, pictures_sha256(samples))]
    clean = [found for sample, found in once if len(sample.class_ids) == 0]
    return sum(is_reported(found, thresholds) for found in clean), len(clean)


def is_reported(found: Detections, thresholds: ArrayLike) -> bool:
    """Whether a picture has a detection at its class threshold; `thresholds`: one a class, in 0..1."""
    limits = np.asarray(thresholds, dtype=np.float32)
    return bool((found.scores >= limits[found.class_ids]).any())


def _hits(found_xyxy: NDArray[np.float32], truth_xyxy: NDArray[np.float32]) -> list[bool]:
    """For detections in descending score order: does each take a free true box at IoU 0.5 or more?"""
    if len(found_xyxy) == 0 or len(truth_xyxy) == 0:
        return [False] * len(found_xyxy)
    overlap = iou_matrix(found_xyxy, truth_xyxy)
    hits = []
    for row in overlap:
        best = int(row.argmax())
        hits.append(bool(row[best] >= MATCH_IOU))
        if hits[-1]:
            overlap[:, best] = 0.0  # taken
    return hits
