from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from flawline.core.postprocess import (
    UnusableOutput,
    find_detections,
    require_rows,
)
from flawline.core.values import Box, Detection, RawOutput
from flawspec.detections import MAX_DETECTIONS
from flawspec.labels import LabelSet
from flawspec.letterbox import Letterbox

LABELS = LabelSet(("scratch", "pit"))
SAME_SIZE = Letterbox.fit(64, 64, 64, 64)


def find(
    boxes: ArrayLike,
    scores: ArrayLike,
    min_scores: tuple[float, float] = (0.5, 0.5),
    letterbox: Letterbox = SAME_SIZE,
) -> tuple[Detection, ...]:
    return find_detections(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(scores, dtype=np.float32).reshape(-1, 2),
        np.array(min_scores, dtype=np.float32),
        0.5,
        letterbox,
        LABELS,
    )


def test_nothing_above_its_threshold_is_nothing_found() -> None:
    assert find([[0, 0, 9, 9]], [[0.49, 0.2]]) == ()
    assert find([], []) == ()


def test_each_class_has_its_own_threshold_and_a_score_equal_to_it_counts() -> None:
    found = find([[0, 0, 9, 9], [20, 20, 30, 30]], [[0.3, 0.6], [0.7, 0.69]], (0.7, 0.6))
    assert found == (
        Detection("scratch", 0.7, Box(20, 20, 30, 30)),
        Detection("pit", 0.69, Box(20, 20, 30, 30)),
        Detection("pit", 0.6, Box(0, 0, 9, 9)),
    )


def test_overlaps_of_one_class_are_one_flaw_and_of_two_classes_two() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]]
    found = find(boxes, [[0.8, 0], [0.9, 0], [0, 0.7]])
    assert [(d.label, d.score) for d in found] == [("scratch", 0.9), ("pit", 0.7)]


def test_boxes_lead_back_to_the_frame() -> None:
    # 640 wide and 320 high on 64x64: a tenth of the size, 16 rows of padding above and below.
    letterbox = Letterbox.fit(640, 320, 64, 64)
    found = find([[1, 16, 11, 26], [60, 40, 80, 60]], [[0.9, 0], [0.8, 0]], letterbox=letterbox)
    assert [d.box for d in found] == [Box(10, 0, 110, 100), Box(600, 240, 640, 320)]


def test_what_lies_wholly_in_the_padding_is_dropped() -> None:
    letterbox = Letterbox.fit(640, 320, 64, 64)
    assert find([[0, 0, 10, 15]], [[0.9, 0]], letterbox=letterbox) == ()


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        pytest.param([[0, 0, 9, 9]], [[np.nan, 0.1]], id="score is no number"),
        pytest.param([[0, 0, 9, 9]], [[0.1, np.inf]], id="score is infinite"),
        pytest.param([[0, np.nan, 9, 9]], [[0.9, 0.1]], id="box is no number"),
        pytest.param([[9, 0, 0, 9]], [[0.9, 0.1]], id="box is inside out"),
    ],
)
def test_an_output_that_no_verdict_can_rest_on_is_an_error(
    boxes: ArrayLike, scores: ArrayLike
) -> None:
    with pytest.raises(UnusableOutput):
        find(boxes, scores)


def test_a_threshold_of_zero_stays_affordable_and_keeps_the_best() -> None:
    anchors = 2000
    x = np.arange(anchors, dtype=np.float32) * 20
    boxes = np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1)
    scores = np.stack([np.linspace(0, 1, anchors), np.zeros(anchors)], axis=1)
    found = find(boxes, scores, (0.0, 0.0), letterbox=Letterbox.fit(40_000, 64, 40_000, 64))
    assert len(found) == MAX_DETECTIONS
    assert found[0].score == 1.0
    assert found == tuple(sorted(found, key=lambda d: -d.score))


def test_every_picture_needs_its_row() -> None:
    two = RawOutput(np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 2), np.float32))
    require_rows(two, 2)
    with pytest.raises(UnusableOutput, match="3 pictures gave 2 rows"):
        require_rows(two, 3)
    lopsided = RawOutput(two.boxes_xyxy, two.scores[:1])
    with pytest.raises(UnusableOutput):
        require_rows(lopsided, 2)
