"""Frames made of several pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from field_of_view import frames
from flawspec.labels import LabelSet
from mobilemamba.dataset import Dataset, Sample


def sample(number: int, width: int = 60, height: int = 40) -> Sample:
    grey = np.full((height, width), number, dtype=np.uint8)
    grey[5:15, 10:30] = 200 + number
    box = np.array([[10, 5, 30, 15]], dtype=np.float32)
    return Sample(f"{number}.png", number, grey, box, np.array([number % 2]))


def test_each_flaw_lies_where_its_picture_was_put() -> None:
    whole = Dataset(LabelSet(("a", "b")), tuple(sample(i) for i in range(9)), "0" * 64)
    made = frames(whole, 2, seed=3)
    assert [s.grey.shape for s in made.samples] == [(80, 120)] * 2  # the ninth is left over
    shown = []
    for frame in made.samples:
        for (left, top, right, bottom), class_id in zip(
            frame.boxes_xyxy.astype(int), frame.class_ids, strict=True
        ):
            (level,) = set(frame.grey[top:bottom, left:right].ravel().tolist())
            assert (level - 200) % 2 == class_id
            shown.append(level - 200)
    assert len(set(shown)) == len(shown) == 8


def test_pictures_of_several_sizes_go_on_to_the_largest() -> None:
    whole = Dataset(LabelSet(("a", "b")), (sample(0), sample(1, 50, 30)) * 2, "0" * 64)
    (frame,) = frames(whole, 2, seed=0).samples
    assert frame.grey.shape == (80, 120)
    assert set(frame.grey.ravel().tolist()) == {0, 1, 200, 201}
