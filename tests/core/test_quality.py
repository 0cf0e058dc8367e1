from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from flawline.core.quality import FrameLimits, FrameQuality, measure
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings

NOISE = np.random.default_rng(1).integers(0, 256, (1000, 2048), dtype=np.uint8)


def blurred(grey: np.ndarray, radius_px: float) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(radius_px)))


def flat(level: int, shape: tuple[int, int] = (200, 200)) -> np.ndarray:
    return np.full(shape, level, dtype=np.uint8)


def test_measures_are_shares_of_full_scale() -> None:
    halves = flat(0)
    halves[:, 100:] = 255
    quality = measure(halves)
    assert quality.brightness == pytest.approx(0.5, abs=0.01)
    assert quality.contrast == pytest.approx(0.5, abs=0.01)
    assert quality.saturated == pytest.approx(0.5, abs=0.01)


def test_detail_is_sharp_and_neither_noise_nor_a_flat_frame_is() -> None:
    detail = NOISE[:100, :100].repeat(2, axis=0).repeat(2, axis=1)  # nothing finer than 2 px
    assert measure(detail).sharpness > 1.5
    assert 0.1 < measure(NOISE).sharpness < 0.4
    assert measure(flat(128)) == FrameQuality(128 / 255, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2), (3, 97), (191, 193)])
def test_any_size_can_be_measured(shape: tuple[int, int]) -> None:
    quality = measure(NOISE[: shape[0], : shape[1]])
    assert 0 <= quality.brightness <= 1
    assert np.isfinite(quality.sharpness)


def test_a_large_frame_gives_the_figures_of_a_small_one() -> None:
    detail = NOISE.repeat(2, axis=0).repeat(2, axis=1)  # nothing finer than 2 px
    small, large = measure(detail[:128, :128]), measure(detail)
    assert large.brightness == pytest.approx(small.brightness, abs=0.02)
    # both are of some ten thousand pixels, less the noise in them
    assert large.sharpness == pytest.approx(small.sharpness, rel=0.15)


def test_sharpness_follows_the_focus_and_not_the_light() -> None:
    steel = generate_frame(3, flaws=()).grey
    sharp = measure(steel).sharpness
    dim = measure((steel * 0.5).astype(np.uint8)).sharpness
    assert dim == pytest.approx(sharp, rel=0.05)
    falling = [measure(blurred(steel, radius)).sharpness for radius in (1, 2, 4)]
    assert sharp > falling[0] > falling[1] > falling[2]


@pytest.mark.parametrize(
    ("grey", "code"),
    [
        (flat(0), "black"),
        (np.clip(NOISE[:200, :200] // 60, 0, 255), "black"),
        (flat(255), "over_exposed"),
        (flat(128), "flat"),
        (128 + (NOISE[:200, :200] > 250), "flat"),
        (np.tile(np.linspace(40, 220, 400), (400, 1)).astype(np.uint8), "blurred"),
    ],
)
def test_frames_that_no_verdict_can_rest_on(grey: np.ndarray, code: str) -> None:
    limits = FlawlineSettings().frame_limits
    assert limits is not None
    fault = limits.fault(measure(grey.astype(np.uint8)))
    assert fault is not None
    assert fault.code == code
    assert FrameLimits().fault(measure(grey.astype(np.uint8))) is None  # all off


def test_drawn_frames_are_to_be_trusted() -> None:
    limits = FlawlineSettings().frame_limits
    assert limits is not None
    faults = [limits.fault(measure(generate_frame(seed).grey)) for seed in range(60)]
    assert faults == [None] * 60
