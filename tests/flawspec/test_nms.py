from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flawspec.boxes import iou_matrix
from flawspec.nms import nms, select_candidates


def reference_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    iou_threshold: float,
    max_detections: int,
) -> list[int]:
    """One box after the other, best first, against all that stand already."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        rivals = [k for k in kept if classes[k] == classes[i]]
        if all(iou_matrix(boxes[i], boxes[k]) <= iou_threshold for k in rivals):
            kept.append(i)
    return kept[:max_detections]


def random_boxes(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    corners = rng.uniform(0, 100, (count, 2))
    return np.hstack([corners, corners + rng.uniform(5, 40, (count, 2))]).astype(np.float32)


STACK = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5], [50, 50, 60, 60]], np.float32)


@pytest.mark.parametrize(
    ("scores", "classes", "threshold", "most", "kept"),
    [
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0], 0.5, 10, [0, 2, 3]),  # 1 falls to 0; IoU(0, 2) is 0.5
        ([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0], 0.4, 10, [0, 3]),
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1], 0.4, 10, [0, 1, 3]),  # another class does not suppress
        ([0.1, 0.8, 0.7, 0.9], [0, 0, 0, 0], 0.5, 10, [3, 1]),
        (
            [0.1, 0.8, 0.7, 0.9],
            [0, 0, 0, 0],
            1.0,
            10,
            [3, 1, 2, 0],
        ),  # nothing overlaps more than wholly
        ([0.1, 0.8, 0.7, 0.9], [0, 0, 0, 0], 1.0, 2, [3, 1]),
        ([0.1, 0.8, 0.7, 0.9], [0, 0, 0, 0], 1.0, 0, []),
        ([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0], 0.4, 10, [0, 3]),  # ties go to the first
    ],
)
def test_known_stacks(
    scores: list[float], classes: list[int], threshold: float, most: int, kept: list[int]
) -> None:
    found = nms(STACK, np.array(scores, np.float32), np.array(classes), threshold, most)
    assert found.dtype == np.int64
    assert found.tolist() == kept


def test_a_fallen_box_fells_no_other() -> None:
    # 0 fells 1; 1 would have felled 2, but it is gone.
    chain = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert nms(chain, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, int), 0.4, 9).tolist() == [
        0,
        2,
    ]


def test_no_boxes() -> None:
    nothing = np.zeros(0, np.float32)
    assert nms(np.zeros((0, 4), np.float32), nothing, nothing.astype(int), 0.5, 10).tolist() == []


@pytest.mark.parametrize("count", [1, 50, 128, 129, 400])  # about the size of a block, and several
@pytest.mark.parametrize(("threshold", "most"), [(0.3, 1000), (0.6, 1000), (0.6, 30)])
def test_equals_the_slow_reference(count: int, threshold: float, most: int) -> None:
    rng = np.random.default_rng(count)
    boxes = random_boxes(rng, count)
    scores = rng.integers(0, 40, count).astype(np.float32) / 40  # with many ties
    classes = rng.integers(0, 3, count)
    arguments = (boxes, scores, classes, threshold, most)
    assert nms(*arguments).tolist() == reference_nms(*arguments)


def test_classes_do_not_change_each_other() -> None:
    rng = np.random.default_rng(3)
    boxes, scores = random_boxes(rng, 200), rng.random(200).astype(np.float32)
    classes = rng.integers(0, 4, 200)
    together = set(nms(boxes, scores, classes, 0.4, 200).tolist())
    for class_id in range(4):
        (mine,) = np.nonzero(classes == class_id)
        alone = mine[nms(boxes[mine], scores[mine], classes[mine], 0.4, 200)]
        assert set(alone.tolist()) == together & set(mine.tolist())


def test_candidates_reach_their_own_classs_threshold() -> None:
    scores = np.array([[0.5, 0.5], [0.2, 0.9], [0.3, 0.6], [0.1, 0.1]], np.float32)
    anchors, classes, values = select_candidates(scores, np.array([0.3, 0.6], np.float32))
    assert anchors.tolist() == [0, 1, 2, 2]
    assert classes.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(values, np.array([0.5, 0.9, 0.3, 0.6], np.float32))


def test_no_candidates() -> None:
    anchors, classes, values = select_candidates(
        np.zeros((5, 2), np.float32), np.full(2, 0.1, np.float32)
    )
    assert len(anchors) == len(classes) == len(values) == 0
