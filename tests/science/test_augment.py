from __future__ import annotations

import numpy as np
import pytest

from flawspec.letterbox import Letterbox
from mobilemamba.augment import AugmentConfig, augment
from mobilemamba.batches import EpochPlan
from mobilemamba.dataset import Sample
from mobilemamba.strip_edge import MOST_OFF, past_the_edge
from mobilemamba.visible import cut_to

QUIET = {"gain": 0.0, "offset": 0.0, "gamma": 1.0, "noise": 0.0}


def square(
    level: int, box: tuple[int, int, int, int], side: int = 100, class_id: int = 0
) -> Sample:
    grey = np.full((side, side), 20, dtype=np.uint8)
    x0, y0, x1, y1 = box
    grey[y0:y1, x0:x1] = level
    boxes = np.array([box], dtype=np.float32)
    return Sample(f"{level}", level, grey, boxes, np.array([class_id], dtype=np.int64))


def test_shrinking_does_not_alias() -> None:
    """Training must not see a noise that the letterbox of serving smooths away."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024), dtype=np.uint8)
    sample = Sample("noise", 1, noise, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    config = AugmentConfig(mosaic=0, scale=(1, 1), stretch=0, translate=0, **QUIET)
    rng = np.random.default_rng(0)
    example = augment(sample, lambda: sample, rng, config, (128, 128), 114, allow_mosaic=False)
    served = Letterbox.fit(1024, 1024, 128, 128).apply(noise, 114)
    assert example.grey.std() == pytest.approx(served.std(), rel=0.5)


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(12))
def test_boxes_stay_on_what_they_frame(mosaic: float, seed: int) -> None:
    """Bright squares on dark ground: every box after the warp frames exactly bright pixels."""
    config = AugmentConfig(mosaic=mosaic, transpose=0.5, translate=0.2, least_visible=0.05, **QUIET)
    rng = np.random.default_rng(seed)
    sample = square(250, (30, 40, 70, 60))
    example = augment(sample, lambda: sample, rng, config, (128, 192), 20, allow_mosaic=True)
    assert example.grey.shape == (128, 192)
    bright = example.grey > 135
    framed = np.zeros_like(bright)
    for x0, y0, x1, y1 in example.boxes_xyxy:
        assert 0 <= x0 < x1 <= 192
        assert 0 <= y0 < y1 <= 128
        inner = bright[round(y0 + 1) : round(y1 - 1), round(x0 + 1) : round(x1 - 1)]
        assert inner.all()
        framed[max(0, int(y0) - 1) : int(y1) + 2, max(0, int(x0) - 1) : int(x1) + 2] = True
    if len(example.class_ids) == (4 if mosaic else 1):
        assert not (bright & ~framed).any(), "no bright pixel is left outside"


def test_the_same_seed_gives_the_same_picture_and_another_seed_another() -> None:
    config = AugmentConfig()
    samples = [square(200 + i, (10, 10, 50, 50), class_id=i) for i in range(3)]

    def run(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        other = lambda: samples[int(rng.integers(3))]  # noqa: E731
        return augment(samples[0], other, rng, config, (64, 64), 114, True).grey

    assert np.array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))


def test_without_mosaic_no_other_picture_is_drawn() -> None:
    def never() -> Sample:
        raise AssertionError

    config = AugmentConfig(mosaic=1.0)
    sample = square(200, (10, 10, 50, 50))
    augment(sample, never, np.random.default_rng(0), config, (64, 64), 114, allow_mosaic=False)


def test_a_box_mostly_out_of_sight_is_dropped() -> None:
    config = AugmentConfig(
        mosaic=0, scale=(4.0, 4.0), stretch=0, translate=0, least_visible=0.5, **QUIET
    )
    corner = square(250, (0, 0, 40, 40))
    example = augment(corner, lambda: corner, np.random.default_rng(0), config, (64, 64), 20, True)
    assert example.boxes_xyxy.shape == (0, 4)
    assert example.class_ids.shape == (0,)


def plan(**changes) -> EpochPlan:
    settings = {
        "batch_size": 4,
        "size_hw": (64, 64),
        "pad_value": 114,
        "seed": 7,
        "augmentation": AugmentConfig(),
    }
    return EpochPlan(**{**settings, **changes})


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    samples = tuple(square(150 + i, (10, 10, 50, 50)) for i in range(10))
    first = list(plan().batches(samples, 3, True))
    again = list(plan().batches(samples, 3, True))
    other = list(plan().batches(samples, 4, True))
    assert len(first) == plan().steps(10) == 2
    assert all(a.pictures.equal(b.pictures) for a, b in zip(first, again, strict=True))
    assert all(a.names == b.names for a, b in zip(first, again, strict=True))
    assert [b.names for b in first] != [b.names for b in other]
    names = [n for b in first for n in b.names]
    assert len(set(names)) == 8, "no picture comes twice in an epoch"


def test_targets_are_padded_and_marked() -> None:
    clean = Sample(
        "clean",
        1,
        np.full((64, 64), 99, np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
    )
    samples = (clean, square(250, (8, 8, 56, 56), side=64))
    config = AugmentConfig(mosaic=0, scale=(1, 1), translate=0, **QUIET)
    (batch,) = plan(batch_size=2, augmentation=config).batches(samples, 0, True)
    row = batch.names.index("clean")
    assert batch.targets.present[row].tolist() == [False]
    assert batch.targets.present[1 - row].tolist() == [True]
    assert batch.pictures.shape == (2, 1, 64, 64)


@pytest.mark.parametrize("seed", range(16))
def test_past_the_edge_nothing_is_left_to_find(seed: int) -> None:
    sample = square(128, (0, 0, 100, 100))
    boxes = np.array([[0, 0, 100, 100], [0, 0, 4, 4], [96, 96, 100, 100]], dtype=np.float32)
    grey, left, kept = past_the_edge(sample.grey, boxes, np.random.default_rng(seed), 0.3)
    beyond = (grey <= MOST_OFF) | (grey >= 255 - MOST_OFF)
    assert 0.05 <= beyond.mean() <= 0.4
    assert kept[0], "most of it is still there"
    assert kept.sum() == len(left) >= 2, "the edge lies on one side: one corner is always seen"
    for x0, y0, x1, y1 in left.astype(int):
        assert not beyond[y0:y1, x0:x1].any()
    assert len(np.unique(grey)) == 2


def test_the_edge_is_drawn_as_often_as_asked_for() -> None:
    config = AugmentConfig(mosaic=0, scale=(1, 1), stretch=0, translate=0, edge=0.5, **QUIET)
    sample = square(128, (0, 0, 100, 100))
    rng = np.random.default_rng(0)
    edges = 0
    for _ in range(200):
        example = augment(sample, lambda: sample, rng, config, (100, 100), 114, allow_mosaic=False)
        edges += len(np.unique(example.grey)) > 1
    assert 80 <= edges <= 120


def test_a_flaw_thinner_than_two_pixels_keeps_its_box_unless_the_cut_made_it_thin() -> None:
    """A scratch whose box were dropped would be taught as a clean surface."""
    boxes = np.array(
        [
            [10, 20, 90, 21.5],  # thin as it is
            [40, 50, 120, 51.5],  # thin, cut along its length
            [10, 98.5, 60, 110],  # cut thin, by its area dropped as well
            [98.5, 10, 101, 60],  # cut thin, most of its area left
            [20, 30, 20.05, 60],  # nothing
            [120, 10, 140, 30],  # beside the window
        ],
        dtype=np.float32,
    )
    left, kept = cut_to(boxes, (0, 0, 100, 100), 0.3)
    assert kept.tolist() == [True, True, False, False, False, False]
    assert left.tolist() == [[10, 20, 90, 21.5], [40, 50, 100, 51.5]]


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_a_scratch_of_a_large_picture_is_shown_with_its_box(mosaic: float) -> None:
    """6 px of 1024 are 1.5 px of an input of 256, and 1.1 px in a mosaic."""
    sample = square(200, (500, 400, 506, 600), side=1024)
    config = AugmentConfig(mosaic=mosaic, scale=(1, 1), stretch=0, translate=0, **QUIET)
    rng = np.random.default_rng(0)
    example = augment(sample, lambda: sample, rng, config, (256, 256), 20, allow_mosaic=True)
    assert len(example.class_ids) >= 1
    assert (example.boxes_xyxy[:, 2:] - example.boxes_xyxy[:, :2]).min() < 2


def test_a_transposed_picture_is_fitted_whole_into_an_input_that_is_not_square() -> None:
    grey, box = np.full((60, 240), 250, np.uint8), np.array([[0, 0, 240, 60]], np.float32)
    sample = Sample("strip", 1, grey, box, np.zeros(1, np.int64))
    config = AugmentConfig(
        mosaic=0, scale=(1, 1), stretch=0, translate=0, transpose=1.0, least_visible=0, **QUIET
    )
    rng = np.random.default_rng(0)
    example = augment(sample, lambda: sample, rng, config, (128, 512), 20, allow_mosaic=False)
    np.testing.assert_allclose(example.boxes_xyxy, [[240, 0, 272, 128]], atol=1e-3)
    assert (example.grey[:, 241:271] > 240).all()
    assert (example.grey[:, :239] < 30).all()


def test_what_is_drawn_without_transposing_stays_as_in_earlier_releases() -> None:
    rng = np.random.default_rng(11)
    sample = square(250, (30, 40, 70, 60))
    example = augment(
        sample, lambda: sample, rng, AugmentConfig(mosaic=1), (128, 192), 20, allow_mosaic=True
    )
    assert rng.integers(1 << 30) == 861643503
    first = [56.4495, 33.4537, 78.4783, 45.3025]
    np.testing.assert_allclose(example.boxes_xyxy[0], first, atol=1e-3)
