from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from flawline.core.postprocess import find_detections
from flawspec.labels import LabelSet
from flawspec.letterbox import Letterbox
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections, InputGeometry, detect, measure
from mobilemamba.operating_point import (
    ClassMatches,
    at_threshold,
    best_f1,
    false_alarm_pictures,
    match,
    overall,
)


def dataset(*boxes_per_picture: list[tuple[int, list[float]]], side: int = 200) -> Dataset:
    samples = []
    for index, boxes in enumerate(boxes_per_picture):
        xyxy = np.array([b for _, b in boxes], dtype=np.float32).reshape(-1, 4)
        ids = np.array([c for c, _ in boxes], dtype=np.int64)
        grey = np.full((side, side), index, np.uint8)  # no copies
        samples.append(Sample(f"{index}", index + 1, grey, xyxy, ids))
    return Dataset(LabelSet(("pit", "scratch")), tuple(samples), "0" * 64)


def found(*entries: tuple[int, float, list[float]]) -> Detections:
    ordered = sorted(entries, key=lambda e: -e[1])
    return Detections(
        np.array([b for _, _, b in ordered], dtype=np.float32).reshape(-1, 4),
        np.array([s for _, s, _ in ordered], dtype=np.float32),
        np.array([c for c, _, _ in ordered], dtype=np.int64),
    )


BIG, SMALL = [20.0, 20, 180, 150], [10.0, 10, 30, 30]


def test_perfect_detections_score_one() -> None:
    data = dataset([(0, SMALL)], [(1, BIG)], [])
    metrics = measure(data, [found((0, 0.9, SMALL)), found((1, 0.8, BIG)), found()])
    assert metrics.map50 == pytest.approx(1)
    assert metrics.map50_95 == pytest.approx(1)
    assert metrics.ap50 == {"pit": pytest.approx(1), "scratch": pytest.approx(1)}
    assert metrics.map50_small == pytest.approx(1)
    assert metrics.map50_large == pytest.approx(1)
    assert math.isnan(metrics.map50_medium)


def test_nothing_found_scores_zero_and_a_class_without_boxes_has_no_figure() -> None:
    metrics = measure(dataset([(0, SMALL)], []), [found(), found()])
    assert metrics.map50 == 0
    assert math.isnan(metrics.ap50["scratch"])


@pytest.mark.parametrize("first_id", [-4, 2**53, 2**63, 10**30])
def test_ids_of_pictures_may_be_any_whole_numbers(first_id: int) -> None:
    data = dataset([(0, SMALL)], [(1, BIG)], [])
    samples = (dataclasses.replace(s, image_id=first_id + i) for i, s in enumerate(data.samples))
    data = dataclasses.replace(data, samples=tuple(samples))
    metrics = measure(data, [found((0, 0.9, SMALL)), found((1, 0.8, BIG)), found()])
    assert metrics.map50 == pytest.approx(1)


def test_a_false_alarm_ranked_first_halves_the_precision() -> None:
    data = dataset([(0, SMALL)])
    metrics = measure(data, [found((0, 0.9, BIG), (0, 0.5, SMALL))])
    assert metrics.ap50["pit"] == pytest.approx(0.5, abs=0.01)


def test_loose_boxes_count_at_half_overlap_only() -> None:
    loose = [10.0, 10, 30, 23]  # IoU 0.65
    metrics = measure(dataset([(0, SMALL)]), [found((0, 0.9, loose))])
    assert metrics.map50 == pytest.approx(1)
    assert metrics.map50_95 == pytest.approx(0.4)  # at 0.50, 0.55, 0.60 and 0.65


def test_detections_come_back_in_the_picture_s_own_pixels() -> None:
    """A predictor that finds the bright rectangle of each letterboxed picture."""
    samples = []
    boxes = [[20, 30, 60, 50], [100, 10, 140, 90]]
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        grey = np.zeros((100, 200), np.uint8)
        grey[y0:y1, x0:x1] = 255
        samples.append(
            Sample(f"{index}", index, grey, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
        )

    def predict(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = np.zeros((len(pictures), 2, 4), np.float32)
        for row, picture in enumerate(pictures[:, 0]):
            ys, xs = np.nonzero(picture > 127)
            out[row, :] = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        scores = np.tile(np.array([[0.9, 0.0], [0.8, 0.0]], np.float32), (len(pictures), 1, 1))
        return out, scores

    results = list(detect(tuple(samples), predict, InputGeometry(128, 128, 0, 0.6), batch_size=1))
    for result, box in zip(results, boxes, strict=True):
        assert len(result.scores) == 1, "the second box overlaps the first and goes"
        assert np.abs(result.boxes_xyxy[0] - box).max() <= 1.6


def test_measured_is_what_is_served() -> None:
    """Random answers on a frame with padding above and below: the same boxes, those in the padding alone left out."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 120, (1, 400, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(1, 40, (1, 400, 2))), -1)
    boxes, scores = boxes.astype(np.float32), rng.random((1, 400, 2), dtype=np.float32)
    grey = np.zeros((50, 200), np.uint8)
    sample = Sample("wide", 1, grey, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    (measured,) = detect((sample,), lambda _: (boxes, scores), InputGeometry(128, 128, 114, 0.5))
    assert (measured.boxes_xyxy[:, 3] > measured.boxes_xyxy[:, 1]).all()
    labels, letterbox = LabelSet(("pit", "scratch")), Letterbox.fit(200, 50, 128, 128)
    lowest = np.full(2, 0.001, np.float32)
    served = find_detections(boxes[0], scores[0], lowest, 0.5, letterbox, labels)
    assert [d.label for d in served] == [labels.name_of(int(c)) for c in measured.class_ids]
    told = [[d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max] for d in served]
    np.testing.assert_allclose(told, measured.boxes_xyxy, atol=0.006)


def test_operating_points() -> None:
    data = dataset([(0, SMALL), (0, BIG)], [(0, SMALL)], [])
    detections = [
        found((0, 0.9, SMALL), (0, 0.6, SMALL), (0, 0.3, BIG)),
        found((0, 0.7, SMALL)),
        found((0, 0.8, SMALL), (1, 0.2, BIG)),
    ]
    pit, scratch = match(data, detections)
    assert pit.scores == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.3])
    assert pit.hits.tolist() == [True, False, True, False, True], "a box is hit once"
    assert pit.boxes == 3
    at_half = at_threshold(pit, 0.5)
    assert (at_half.precision, at_half.recall) == (0.5, pytest.approx(2 / 3))
    best = best_f1(pit)  # all five: F1 2*3/(5+3)
    assert best.threshold == pytest.approx(0.15)
    assert best.recall == 1
    empty = best_f1(scratch)
    assert empty.threshold == 0.5
    assert empty.precision == 1
    assert math.isnan(empty.recall)
    assert false_alarm_pictures(data.samples, detections, (0.75, 0.5)) == (1, 1)
    assert false_alarm_pictures(data.samples, detections, (0.85, 0.5)) == (0, 1)


def test_the_best_f1_is_reached_however_close_the_scores_are() -> None:
    close = ClassMatches(np.array([0.12346, 0.12344], np.float32), np.array([True, False]), 1)
    assert best_f1(close).precision == 1
    equal = ClassMatches(np.array([0.5, 0.5, 0.4], np.float32), np.array([True, False, True]), 2)
    assert best_f1(equal).threshold == 0.2
    rng = np.random.default_rng(5)
    for _ in range(300):
        scores = np.sort(rng.uniform(0.001, 0.03, 60).astype(np.float32))[::-1]
        matches = ClassMatches(scores, rng.random(60) < 0.5, 40)
        points = [
            at_threshold(matches, float(score)) for score in (*scores, best_f1(matches).threshold)
        ]
        *others, chosen = [
            2 * p.precision * p.recall / max(p.precision + p.recall, 1e-9) for p in points
        ]
        assert chosen == pytest.approx(max(others))


def test_all_classes_together_each_at_its_threshold() -> None:
    one = ClassMatches(np.array([0.9, 0.6, 0.3], np.float32), np.array([True, False, True]), 4)
    other = ClassMatches(np.array([0.5, 0.2], np.float32), np.array([True, True]), 2)
    assert overall([one, other], (0.6, 0.2)) == (3 / 4, 3 / 6)
    none = ClassMatches(np.zeros(0, np.float32), np.zeros(0, bool), 0)
    precision, recall = overall([none], (0.5,))
    assert precision == 1.0
    assert math.isnan(recall)
