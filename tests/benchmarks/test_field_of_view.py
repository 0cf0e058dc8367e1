"""A flawed picture among clean ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from field_of_view import frames
from mobilemamba.dataset import Sample


def flawed(number: int) -> Sample:
    grey = np.full((40, 60), 10, dtype=np.uint8)
    grey[5:15, 10:30] = 200 + number
    box = np.array([[10, 5, 30, 15]], dtype=np.float32)
    return Sample(f"{number}.png", number, grey, box, np.array([number]))


def clean(number: int, size: tuple[int, int]) -> Sample:
    grey = np.full(size, 100 + number, dtype=np.uint8)
    return Sample(f"clean-{number}.png", number, grey, np.empty((0, 4), np.float32), np.array([]))


def test_each_flaw_lies_where_its_box_says_and_the_rest_is_clean() -> None:
    others = [clean(0, (40, 60)), clean(1, (30, 90)), clean(2, (80, 50))]
    made = frames([flawed(number) for number in range(6)], others, 2, seed=3)
    corners = set()
    for number, frame in enumerate(made):
        assert frame.grey.shape == (80, 120)
        ((left, top, right, bottom),) = frame.boxes_xyxy.astype(int).tolist()
        assert set(frame.grey[top:bottom, left:right].ravel().tolist()) == {200 + number}
        assert np.count_nonzero(frame.grey == 200 + number) == 200
        assert set(frame.grey.ravel().tolist()) <= {10, 200 + number, 100, 101, 102}
        corners.add((left, top))
    assert len(corners) > 1


def test_alone_a_picture_stays_as_it_is() -> None:
    (frame,) = frames([flawed(1)], [clean(0, (9, 9))], 1, seed=0)
    assert np.array_equal(frame.grey, flawed(1).grey)
    assert np.array_equal(frame.boxes_xyxy, flawed(1).boxes_xyxy)
