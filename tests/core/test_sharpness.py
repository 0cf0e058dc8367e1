"""Sharpness of drawn steel, alone and beside a line's base line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from flawline.core.camera import Camera
from flawline.core.line_options import CameraOptions
from flawline.core.quality import measure
from flawline.core.sharpness import sharpness as sharpness_beside
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings

SIDE_PX = 200
SIZE_PX = (SIDE_PX, SIDE_PX)
STEEL = ("scratches",)  # drawn on one kind of steel, as a line has it
OPTIONS = CameraOptions(learn=50, lost_below=0.4, frozen_frames=3, same_size=True, soft_below=0.0)


def sharpness(grey: np.ndarray) -> float:
    return sharpness_beside(grey, float(grey.mean()) if grey.size else 0.0)


def blurred(grey: np.ndarray, sigma_px: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Gaussian blur of the optics, then noise of the sensor."""
    reach = int(np.ceil(4 * sigma_px))
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma_px**2))
    levels = along_both(grey.astype(np.float64), taps / taps.sum())
    return rounded(levels + np.random.default_rng(seed).normal(0.0, noise, grey.shape))


def along_both(levels: np.ndarray, taps: np.ndarray) -> np.ndarray:
    padded = np.pad(levels, len(taps) // 2, mode="symmetric")
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, taps, mode="valid")
    return padded


def rounded(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def ringed(grey: np.ndarray) -> np.ndarray:
    """In the dark, inside a bright soft ring, as under a ring light: steel in a third of the frame."""
    y, x = np.indices(grey.shape) - SIDE_PX / 2
    radius = np.hypot(x, y)
    ring = 200 * np.exp(-(((radius - 75) / 4) ** 2))
    return rounded(np.where(radius < 70, grey, 0) + ring)


def seeds(kind: str) -> Iterator[int]:
    """Distinct for what is learned, what is shown sharp, and what is shown blurred."""
    yield from {"learned": range(50), "sharp": range(50, 90), "blurred": range(90, 130)}[kind]


def line(frames: Iterator[np.ndarray]) -> Camera:
    camera = Camera(OPTIONS)
    for frame in frames:
        assert camera.look(measure(frame), SIZE_PX, trusted=True) is None
    assert camera.learned == 1
    return camera


def codes(camera: Camera, frames: Iterator[np.ndarray]) -> list[str]:
    faults = [camera.look(measure(frame), SIZE_PX, trusted=True) for frame in frames]
    return ["" if fault is None else fault.code for fault in faults]


@pytest.fixture(scope="module")
def camera() -> Camera:
    return line(generate_frame(seed).grey for seed in seeds("learned"))


def test_a_sharp_frame_is_never_called(camera: Camera) -> None:
    assert set(codes(camera, (generate_frame(seed).grey for seed in seeds("sharp")))) == {""}


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
def test_blur_of_two_pixels_is_called_on_every_frame(camera: Camera, noise: float) -> None:
    frames = (blurred(generate_frame(seed).grey, 2.0, noise, seed) for seed in seeds("blurred"))
    assert set(codes(camera, frames)) == {"blurred"}


def test_a_ring_of_light_hides_no_blur() -> None:
    camera = line(ringed(generate_frame(seed, flaws=STEEL).grey) for seed in seeds("learned"))
    sharp = [ringed(generate_frame(seed, flaws=STEEL).grey) for seed in seeds("sharp")]
    soft = [
        blurred(ringed(generate_frame(s, flaws=STEEL).grey), 2.0, 1.0, s) for s in seeds("blurred")
    ]
    assert set(codes(camera, iter(sharp))) == {""}
    assert set(codes(camera, iter(soft))) == {"blurred"}


def test_one_sharp_edge_makes_no_frame_sharp() -> None:
    soft = blurred(generate_frame(3, flaws=()).grey, 3.0)
    edged = soft.copy()
    edged[:, 100:] //= 2
    assert (
        sharpness(edged) < 2 * sharpness(soft) < 0.5 * sharpness(generate_frame(3, flaws=()).grey)
    )


def test_noise_alone_is_neither_sharp_nor_called_blurred() -> None:
    limits = FlawlineSettings().single_frame_limits
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0.0, 10.0, (SIDE_PX, SIDE_PX))
        quality = measure(rounded(128 + noise))
        assert quality.sharpness < 0.5
        assert limits.fault(quality) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_motion_along_one_axis_lowers_it(axis: int) -> None:
    steel = generate_frame(5, flaws=()).grey
    moved = np.mean([np.roll(steel, step, axis).astype(float) for step in range(7)], axis=0)
    assert sharpness(rounded(moved)) < 0.6 * sharpness(steel)


def test_a_frame_may_be_a_view_of_any_memory() -> None:
    steel = generate_frame(4, 257, 190).grey
    copy = sharpness(steel)
    assert sharpness(np.asfortranarray(steel)) == copy
    assert sharpness(np.pad(steel, 9)[9:-9, 9:-9]) == copy
    assert sharpness(steel[:, ::-1]) == pytest.approx(copy, rel=0.25)


@pytest.mark.parametrize("shape", [(11, 300), (300, 11), (0, 0), (1, 1)])
def test_too_small_a_frame_has_none(shape: tuple[int, int]) -> None:
    assert sharpness(np.ones(shape, dtype=np.uint8)) == 0.0


def test_a_frame_has_its_tiles_at_its_edges_too() -> None:
    """Tiles reach from the first pixel to within a step of the last, whatever the size."""
    for height_px, width_px in ((12, 15), (64, 64), (128, 400), (1000, 2048)):
        grey = np.full((height_px, width_px), 128, dtype=np.uint8)
        grey[:16, :16] = np.random.default_rng(0).integers(0, 256, grey[:16, :16].shape)
        assert sharpness(grey) > 0.05


@pytest.mark.parametrize("side_px", [32, 48, 64, 80])
def test_an_edge_between_flat_areas_of_a_small_frame_is_not_passed_over(side_px: int) -> None:
    frame = np.full((side_px, side_px), 40, dtype=np.uint8)
    frame[side_px // 2 :, : side_px // 2] = 220
    assert sharpness(frame) > 0.1
