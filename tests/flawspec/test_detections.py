from __future__ import annotations

import numpy as np

from flawspec.detections import MAX_CANDIDATES, best_candidates, settle
from flawspec.letterbox import Letterbox


def test_of_too_many_candidates_the_best_are_taken() -> None:
    scores = np.random.default_rng(0).random((2000, 2), dtype=np.float32)
    _, _, found = best_candidates(scores, np.zeros(2, np.float32))
    assert found.tolist() == sorted(scores.flatten().tolist(), reverse=True)[:MAX_CANDIDATES]
    anchors, class_ids, found = best_candidates(scores, np.full(2, 0.9, np.float32))
    assert np.array_equal(scores[anchors, class_ids], found)
    assert sorted(found.tolist()) == sorted(scores[scores >= 0.9].tolist())


def test_what_shows_less_than_a_hundredth_of_a_pixel_of_the_frame_is_dropped() -> None:
    letterbox = Letterbox.fit(64, 32, 64, 64)  # 16 rows of padding above and below
    boxes = np.array([[0, 0, 9, 16], [0, 0, 9, 16.009], [20, 0, 29, 16.02]], np.float32)
    scores = np.array([0.7, 0.8, 0.9], np.float32)
    kept, in_frame = settle(boxes, scores, np.array([0, 1, 2]), 0.5, letterbox)
    assert kept.tolist() == [2]
    np.testing.assert_allclose(in_frame, [[20, 0, 29, 0.02]], atol=1e-5)
