from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flawline.core.camera import Camera
from flawline.core.line_options import CameraOptions
from flawline.core.quality import FrameQuality

OPTIONS = CameraOptions(learn=50, lost_below=0.4, frozen_frames=3, same_size=True)
USUAL = FrameQuality(brightness=0.5, contrast=0.1, sharpness=0.4, saturated=0.0)
SIZE_PX = (200, 100)


def learned(options: CameraOptions = OPTIONS) -> Camera:
    camera = Camera(options)
    for jitter in np.random.default_rng(0).normal(1.0, 0.02, options.learn):
        quality = replace(USUAL, brightness=0.5 * jitter, sharpness=0.4 * jitter)
        assert camera.look(quality, SIZE_PX, trusted=True) is None
    assert camera.learned == 1
    return camera


@pytest.mark.parametrize(
    ("measure", "value", "code"),
    [
        ("brightness", 0.1, "black"),
        ("contrast", 0.02, "flat"),
        ("sharpness", 0.1, "blurred"),
    ],
)
def test_a_frame_that_lost_what_its_line_has_is_not_to_be_trusted(
    measure: str, value: float, code: str
) -> None:
    camera = learned()
    fault = camera.look(replace(USUAL, **{measure: value}), SIZE_PX, trusted=True)
    assert fault is not None
    assert fault.code == code
    assert camera.changed is None  # one frame is no change
    assert camera.look(USUAL, SIZE_PX, trusted=True) is None


def test_a_line_whose_frames_differ_widely_is_given_its_room() -> None:
    camera = Camera(OPTIONS)
    for number in range(50):
        quality = replace(USUAL, sharpness=0.05 if number % 20 == 0 else 0.4)
        camera.look(quality, SIZE_PX, trusted=True)
    assert camera.look(replace(USUAL, sharpness=0.05), SIZE_PX, trusted=True) is None


def test_off_is_off() -> None:
    off = replace(OPTIONS, lost_below=0.0, frozen_frames=0, same_size=False, soft_below=0.0)
    camera = learned(off)
    for _ in range(100):
        assert camera.look(replace(USUAL, sharpness=0.01), SIZE_PX, trusted=True) is None
    assert camera.look(replace(USUAL, brightness=0.03), (7, 7), trusted=True) is None
    for _ in range(10):
        assert camera.repeated("ab", None) is None


def test_a_frame_of_another_size_is_not_to_be_trusted() -> None:
    camera = learned()
    fault = camera.look(USUAL, (200, 50), trusted=True)
    assert fault is not None
    assert fault.code == "wrong_size"
    assert "200x50" in fault.detail
    assert camera.changed == fault.detail
    assert camera.look(USUAL, SIZE_PX, trusted=True) is None
    assert camera.changed is None


def test_a_line_that_never_had_one_size_may_have_any() -> None:
    camera = Camera(OPTIONS)
    for number in range(50):
        camera.look(USUAL, (100 + number % 3, 100), trusted=True)
    assert camera.look(USUAL, (999, 999), trusted=True) is None


def test_thousands_of_sizes_take_no_memory() -> None:
    camera = Camera(replace(OPTIONS, learn=5000))
    for number in range(4000):
        camera.look(USUAL, (number, number), trusted=True)
    assert len(camera._sizes) <= 8


def test_a_camera_that_hangs_is_told_from_a_caller_who_asks_again() -> None:
    camera = learned()
    assert [camera.repeated("aa", "part-1") for _ in range(10)] == [None] * 10
    assert camera.repeated("aa", "part-2") is None
    hangs = camera.repeated("aa", "part-3")
    assert hangs is not None
    assert (hangs.code, hangs.detail) == ("frozen", "The same frame came 3 times in a row.")
    assert camera.changed == hangs.detail
    assert camera.repeated("bb", "part-4") is None
    assert camera.changed is None


def test_frames_without_a_part_count_each() -> None:
    camera = learned()
    codes = [fault and fault.code for fault in (camera.repeated("aa", None) for _ in range(4))]
    assert codes == [None, None, "frozen", "frozen"]


def test_no_base_line_is_made_of_frames_not_to_be_trusted() -> None:
    camera = Camera(OPTIONS)
    for _ in range(100):
        camera.look(replace(USUAL, brightness=0.0), SIZE_PX, trusted=False)
    assert camera.learned == 0


def test_a_covered_lens_is_a_changed_camera() -> None:
    camera = learned()
    for _ in range(50):
        camera.look(FrameQuality(0.0, 0.0, 0.0, 0.0), SIZE_PX, trusted=False)
    assert camera.changed is not None
    assert camera.changed.startswith("brightness is")


SOFT = replace(USUAL, sharpness=0.2)  # half of the usual: not enough to call one frame


def test_blur_that_lasts_is_called_until_focus_returns() -> None:
    camera = learned()
    soft = [camera.look(SOFT, SIZE_PX, trusted=True) for _ in range(60)]
    first = next(number for number, fault in enumerate(soft) if fault is not None)
    assert 15 < first < 30
    assert {fault.code for fault in soft[first:] if fault is not None} == {"blurred"}
    assert None not in soft[first:]
    assert (
        camera.changed
        == "Sharpness of the line's last frames is 0.52 of the base line's, must be 0.65 or more."
    )
    sharp = [camera.look(USUAL, SIZE_PX, trusted=True) for _ in range(60)]
    back = sharp.index(None)
    assert 10 < back < 25  # hysteresis: not at the first sharp frame
    assert set(sharp[back:]) == {None}


def test_sharpness_that_hovers_at_the_limit_does_not_flutter() -> None:
    camera = learned()
    for _ in range(60):
        camera.look(SOFT, SIZE_PX, trusted=True)
    near = [replace(USUAL, sharpness=0.4 * share) for share in (0.7, 0.66, 0.74)] * 40
    assert None not in [camera.look(quality, SIZE_PX, trusted=True) for quality in near]


def test_a_few_soft_frames_are_no_lens_out_of_focus() -> None:
    camera = learned()
    for _ in range(20):
        for quality in (SOFT, SOFT, SOFT, USUAL, USUAL, USUAL, USUAL, USUAL):
            assert camera.look(quality, SIZE_PX, trusted=True) is None


def test_a_dark_spell_puts_no_lens_out_of_focus() -> None:
    camera = learned()
    for _ in range(100):
        camera.look(FrameQuality(0.0, 0.0, 0.0, 0.0), SIZE_PX, trusted=False)
        camera.look(FrameQuality(0.01, 0.1, 0.0, 0.0), SIZE_PX, trusted=True)
    assert camera.look(USUAL, SIZE_PX, trusted=True) is None


def test_frames_that_were_under_way_together_and_got_no_verdict_are_all_taken_back() -> None:
    camera = Camera(replace(OPTIONS, frozen_frames=3))
    for _ in range(4):  # two at a time, refused; by a caller that asks again
        assert [camera.repeated("a", None) for _ in range(2)] == [None, None]
        for _ in range(2):
            camera.not_judged("a", None)
    assert [camera.repeated("a", part_id) for part_id in (None, "1", "1")] == [None, None, None]
    camera.not_judged("a", "1")
    assert camera.repeated("a", "2") is not None
