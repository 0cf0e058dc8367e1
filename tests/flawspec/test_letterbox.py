from __future__ import annotations

import numpy as np
import pytest

from flawspec.letterbox import Letterbox

PAD = 114
SIZES = [
    (200, 200),
    (200, 100),
    (100, 200),
    (640, 480),
    (37, 911),
    (256, 256),
    (20, 20),
    (4000, 16),
]


@pytest.mark.parametrize(
    ("frame", "inside", "resized", "corner"),
    [
        ((200, 200), (256, 256), (256, 256), (0, 0)),
        ((200, 100), (256, 256), (256, 128), (0, 64)),
        ((100, 200), (256, 256), (128, 256), (64, 0)),
        ((640, 480), (320, 320), (320, 240), (0, 40)),
        ((100, 100), (256, 128), (128, 128), (64, 0)),
        ((3, 2), (64, 64), (64, 43), (0, 10)),  # the odd pixel is at the bottom
        ((10_000, 16), (64, 64), (64, 1), (0, 31)),  # never nothing
    ],
)
def test_known_fits(
    frame: tuple[int, int],
    inside: tuple[int, int],
    resized: tuple[int, int],
    corner: tuple[int, int],
) -> None:
    box = Letterbox.fit(*frame, *inside)
    assert (box.resized_width_px, box.resized_height_px) == resized
    assert (box.left_px, box.top_px) == corner
    assert box.scale == min(inside[0] / frame[0], inside[1] / frame[1])


@pytest.mark.parametrize("sides", [(0, 1, 1, 1), (1, -1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_sides_must_be_positive(sides: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        Letterbox.fit(*sides)


@pytest.mark.parametrize("size", SIZES)
def test_boxes_return_where_they_came_from(size: tuple[int, int]) -> None:
    width, height = size
    box = Letterbox.fit(width, height, 256, 192)
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (50, 2, 2)), axis=1) * (width, height)
    frame = corners.reshape(-1, 4).astype(np.float32)
    there = box.to_input(frame)
    assert there.dtype == np.float32
    assert there.min() >= 0
    assert (there.max(axis=0) <= [256, 192, 256, 192]).all()
    np.testing.assert_allclose(box.to_frame(there), frame, atol=1e-5 * max(size) + 1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_the_frame_fills_the_part_that_is_not_padded(size: tuple[int, int]) -> None:
    width, height = size
    box = Letterbox.fit(width, height, 256, 192)
    (placed,) = box.to_input([[0, 0, width, height]])
    corner = (box.left_px, box.top_px)
    far = (box.left_px + box.resized_width_px, box.top_px + box.resized_height_px)
    np.testing.assert_allclose(placed, [*corner, *far], atol=1e-3)
    bright = box.apply(np.full((height, width), 255, np.uint8), PAD)
    assert bright.shape == (192, 256)
    inside = bright[corner[1] : far[1], corner[0] : far[0]]
    assert (inside == 255).all()
    assert np.count_nonzero(bright == PAD) == 192 * 256 - inside.size


def test_boxes_are_cut_to_the_frame() -> None:
    box = Letterbox.fit(200, 100, 256, 256)
    np.testing.assert_allclose(box.to_frame([[-50, 0, 500, 256]]), [[0, 0, 200, 100]])


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4))])
def test_no_boxes(boxes: list[float]) -> None:
    box = Letterbox.fit(200, 100, 256, 256)
    assert box.to_frame(boxes).shape == box.to_input(boxes).shape == (0, 4)


def test_boxes_given_stay_as_they_are() -> None:
    box = Letterbox.fit(200, 100, 256, 256)
    given = np.array([[10, 20, 500, 60]], np.float32)
    before = given.copy()
    box.to_frame(given)
    box.to_input(given)
    np.testing.assert_array_equal(given, before)


def test_a_spot_lands_where_its_box_says() -> None:
    grey = np.zeros((100, 300), np.uint8)
    grey[40:60, 210:240] = 255
    box = Letterbox.fit(300, 100, 256, 256)
    ys, xs = np.nonzero(box.apply(grey, 0) > 127)
    found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    np.testing.assert_allclose(found, box.to_input([[210, 40, 240, 60]])[0], atol=1)


def test_a_frame_of_the_inputs_size_is_copied_pixel_by_pixel() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    seen = Letterbox.fit(64, 64, 64, 64).apply(grey, PAD)
    np.testing.assert_array_equal(seen, grey)
    assert not np.shares_memory(seen, grey)


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((512, 512), np.uint8)
    stripes[:, ::2] = 200
    seen = Letterbox.fit(512, 512, 64, 64).apply(stripes, PAD)
    assert 95 <= seen.min() <= seen.max() <= 105


def test_a_batch_buffer_holds_what_each_frame_alone_gives() -> None:
    rng = np.random.default_rng(1)
    batch = rng.integers(0, 256, (len(SIZES), 1, 192, 256), dtype=np.uint8)  # dirty from before
    frames = [rng.integers(0, 256, (h, w), dtype=np.uint8) for w, h in SIZES]
    for frame, room in zip(frames, batch, strict=True):
        height, width = frame.shape
        Letterbox.fit(width, height, 256, 192).apply_into(frame, PAD, room[0])
    for frame, room in zip(frames, batch, strict=True):
        height, width = frame.shape
        alone = Letterbox.fit(width, height, 256, 192).apply(frame, PAD)
        np.testing.assert_array_equal(room[0], alone)


def test_a_view_that_is_not_contiguous_is_letterboxed_like_its_copy() -> None:
    wide = np.random.default_rng(2).integers(0, 256, (100, 200), dtype=np.uint8)
    part = wide[:, ::2]
    box = Letterbox.fit(100, 100, 64, 64)
    np.testing.assert_array_equal(box.apply(part, PAD), box.apply(part.copy(), PAD))


def test_another_size_than_was_fitted_is_refused() -> None:
    box = Letterbox.fit(200, 100, 64, 64)
    with pytest.raises(ValueError, match="the frame is"):
        box.apply(np.zeros((200, 100), np.uint8), PAD)
    with pytest.raises(ValueError, match="the buffer is"):
        box.apply_into(np.zeros((100, 200), np.uint8), PAD, np.zeros((64, 65), np.uint8))
