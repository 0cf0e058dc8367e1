"""One drawn frame: same seed same bits, exact boxes, every class, every size."""

from __future__ import annotations

import numpy as np
import pytest

from flawline.samples.errors import FrameSizeError, NoRoomError, SeedError, UnknownFlawError
from flawline.samples.families.catalogue import CLASS_NAMES
from flawline.samples.generator import SampleFrame, generate_frame
from flawline.samples.sheet import VISIBLE_LEVELS


def _changed(frame: SampleFrame) -> np.ndarray:
    difference = np.abs(frame.grey.astype(int) - frame.clean_grey.astype(int))
    return difference >= VISIBLE_LEVELS


def test_class_names_are_those_of_neu_det_in_order() -> None:
    assert CLASS_NAMES == (
        "crazing",
        "inclusion",
        "patches",
        "pitted_surface",
        "rolled-in_scale",
        "scratches",
    )


def test_same_seed_same_bits() -> None:
    first, second = generate_frame(7), generate_frame(7)
    assert np.array_equal(first.grey, second.grey)
    assert np.array_equal(first.clean_grey, second.clean_grey)
    assert np.array_equal(first.boxes_xywh, second.boxes_xywh)
    assert np.array_equal(first.class_ids, second.class_ids)


def test_distinct_seeds_differ() -> None:
    frames = {generate_frame(seed).grey.tobytes() for seed in range(8)}
    assert len(frames) == 8


def test_shapes_and_types() -> None:
    frame = generate_frame(3, width_px=160, height_px=96)
    assert frame.grey.shape == frame.clean_grey.shape == (96, 160)
    assert frame.grey.dtype == frame.clean_grey.dtype == np.uint8
    assert frame.boxes_xywh.dtype == np.float32
    assert frame.class_ids.dtype == np.int64
    assert frame.boxes_xywh.shape == (len(frame.class_ids), 4)


@pytest.mark.parametrize("name", CLASS_NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_box_is_exactly_what_the_flaw_changed(name: str, seed: int) -> None:
    frame = generate_frame(seed, flaws=[name])
    rows, columns = np.nonzero(_changed(frame))
    expected = [
        columns.min(),
        rows.min(),
        columns.max() - columns.min() + 1,
        rows.max() - rows.min() + 1,
    ]
    assert frame.boxes_xywh.tolist() == [expected]
    assert frame.class_ids.tolist() == [CLASS_NAMES.index(name)]


@pytest.mark.parametrize("seed", range(12))
def test_several_flaws_are_apart_and_nothing_else_changed(seed: int) -> None:
    frame = generate_frame(seed)
    changed = _changed(frame)
    assert 1 <= len(frame.class_ids) <= 4
    owners = np.zeros(changed.shape, dtype=int)
    for x, y, width, height in frame.boxes_xywh.astype(int).tolist():
        patch = changed[y : y + height, x : x + width]
        assert all(edge.any() for edge in (patch[0], patch[-1], patch[:, 0], patch[:, -1]))
        owners[y : y + height, x : x + width] += 1
    assert owners.max() == 1
    assert not changed[owners == 0].any()


def test_random_frames_show_every_class() -> None:
    seen: set[int] = set()
    for seed in range(40):
        seen.update(generate_frame(seed).class_ids.tolist())
    assert seen == set(range(len(CLASS_NAMES)))


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_flaw_stands_out(name: str) -> None:
    for seed in range(6):
        frame = generate_frame(seed, flaws=[name])
        changed = _changed(frame)
        steps = np.abs(frame.grey.astype(int) - frame.clean_grey.astype(int))[changed]
        assert changed.sum() >= 30
        assert np.percentile(steps, 75) >= 10


def test_clean_frame_has_no_boxes() -> None:
    frame = generate_frame(5, flaws=[])
    assert frame.boxes_xywh.shape == (0, 4)
    assert frame.class_ids.shape == (0,)
    assert np.array_equal(frame.grey, frame.clean_grey)


def test_a_generator_as_seed_goes_on() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    first, second = generate_frame(rng), generate_frame(rng)
    assert np.array_equal(first.grey, generate_frame(1).grey)
    assert not np.array_equal(first.grey, second.grey)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 300), (1024, 128)])
def test_sizes(width: int, height: int) -> None:
    for name in CLASS_NAMES:
        frame = generate_frame(2, width, height, [name])
        assert frame.grey.shape == (height, width)
        x, y, box_width, box_height = frame.boxes_xywh[0].tolist()
        assert 0 <= x < x + box_width <= width
        assert 0 <= y < y + box_height <= height


def test_largest_frame() -> None:
    frame = generate_frame(1, 4096, 4096, ["scratches"])
    assert frame.grey.shape == (4096, 4096)
    assert len(frame.class_ids) == 1


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 63), (4097, 64), (64, 4097)])
def test_size_out_of_range(width: int, height: int) -> None:
    with pytest.raises(FrameSizeError, match="64 to 4096"):
        generate_frame(0, width, height)


def test_negative_seed() -> None:
    with pytest.raises(SeedError, match="0 or more"):
        generate_frame(-1)


@pytest.mark.parametrize("second", CLASS_NAMES)
@pytest.mark.parametrize("first", CLASS_NAMES)
def test_any_two_classes_share_a_frame_and_stand_out(first: str, second: str) -> None:
    frame = generate_frame(1, 320, 240, [first, second])
    names = [CLASS_NAMES[class_id] for class_id in frame.class_ids]
    assert names == [first, second]
    step = np.abs(frame.grey.astype(int) - frame.clean_grey.astype(int))
    for x, y, width, height in frame.boxes_xywh.astype(int).tolist():
        inside = step[y : y + height, x : x + width]
        assert inside[inside >= VISIBLE_LEVELS].mean() >= 8


def test_unknown_flaw() -> None:
    with pytest.raises(UnknownFlawError, match=r"rust.*crazing"):
        generate_frame(0, flaws=["rust"])


def test_too_many_flaws() -> None:
    with pytest.raises(NoRoomError, match="do not fit"):
        generate_frame(0, 64, 64, ["pitted_surface"] * 40)
