from __future__ import annotations

import numpy as np
import pytest

from flawspec import boxes

CASES = [
    # xyxy, xywh
    ([0, 0, 10, 20], [0, 0, 10, 20]),
    ([3, 4, 3, 4], [3, 4, 0, 0]),
    ([-2, 1.5, 4, 2], [-2, 1.5, 6, 0.5]),
]


@pytest.mark.parametrize(("xyxy", "xywh"), CASES)
def test_formats(xyxy: list[float], xywh: list[float]) -> None:
    np.testing.assert_allclose(boxes.xyxy_to_xywh([xyxy]), [xywh])
    np.testing.assert_allclose(boxes.xywh_to_xyxy([xywh]), [xyxy])


@pytest.mark.parametrize(
    "change",
    [
        boxes.xywh_to_xyxy,
        boxes.xyxy_to_xywh,
        lambda b: boxes.clip_xyxy(b, 5, 5),
        boxes.area_xyxy,
        lambda b: boxes.iou_matrix(b, b),
    ],
)
def test_arguments_stay_as_they_are(change) -> None:  # type: ignore[no-untyped-def]
    given = np.array([[1, 2, 9, 8], [-3, -3, 4, 20]], dtype=np.float32)
    before = given.copy()
    changed = change(given)
    assert changed.dtype == np.float32
    assert not np.shares_memory(changed, given)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("shape", [(0, 4), (2, 3, 4)])
def test_any_leading_shape(shape: tuple[int, ...]) -> None:
    given = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_allclose(boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(given)), given)
    assert boxes.clip_xyxy(given, 5, 5).shape == shape
    assert boxes.area_xyxy(given).shape == shape[:-1]


@pytest.mark.parametrize(
    ("given", "clipped"),
    [
        ([-5, -5, 5, 5], [0, 0, 5, 5]),
        ([90, 40, 200, 200], [90, 40, 100, 50]),
        ([150, 60, 160, 70], [100, 50, 100, 50]),  # outside: no area is left
        ([10, 10, 20, 20], [10, 10, 20, 20]),
    ],
)
def test_clip_to_a_frame_of_100_by_50(given: list[float], clipped: list[float]) -> None:
    np.testing.assert_array_equal(boxes.clip_xyxy([given], 100, 50), [clipped])


def test_area_of_an_inside_out_box_is_nothing() -> None:
    np.testing.assert_array_equal(
        boxes.area_xyxy([[0, 0, 2, 3], [5, 0, 2, 3], [5, 5, 2, 2]]), [6, 0, 0]
    )


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1),
        ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3),
        ([0, 0, 10, 10], [5, 5, 15, 15], 25 / 175),
        ([0, 0, 10, 10], [2, 2, 4, 4], 4 / 100),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0),  # they touch
        ([0, 0, 10, 10], [20, 20, 30, 30], 0),
        ([3, 3, 3, 3], [3, 3, 3, 3], 0),  # neither has area
        ([10, 10, 0, 0], [0, 0, 10, 10], 0),  # inside out
    ],
)
def test_iou_of_known_pairs(a: list[float], b: list[float], iou: float) -> None:
    assert boxes.iou_matrix([a], [b]) == pytest.approx(iou)
    assert boxes.iou_matrix([b], [a]) == pytest.approx(iou)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_iou_of_nothing(n: int, m: int) -> None:
    assert boxes.iou_matrix(np.ones((n, 4)), np.ones((m, 4))).shape == (n, m)


def test_iou_row_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.uniform(0, 50, (2, 20, 4)).astype(np.float32)
    a[:, 2:] += a[:, :2]
    b[:, 2:] += b[:, :2]
    together = boxes.iou_matrix(a, b)
    assert together.min() >= 0
    assert together.max() <= 1
    for i in range(20):
        np.testing.assert_array_equal(boxes.iou_matrix(a[i], b)[0], together[i])
