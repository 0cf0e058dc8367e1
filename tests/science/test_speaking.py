"""Pictures on which an export is compared: none of them may be blank at the network's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mobilemamba.dataset import Sample
from mobilemamba.evaluate import InputGeometry, lay_in
from mobilemamba.export import largest_difference
from mobilemamba.speaking import speaking_pictures

GEOMETRY = InputGeometry(width_px=128, height_px=64, pad_value=114, nms_iou_threshold=0.5)


def sample(grey: NDArray[np.float64]) -> Sample:
    pixels = grey.round().clip(0, 255).astype(np.uint8)
    return Sample("a", 1, pixels, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def noise(seed: int, sigma: float, height: int = 64, width: int = 128) -> Sample:
    return sample(np.random.default_rng(seed).normal(114, sigma, (height, width)))


def blank(height: int = 64, width: int = 128) -> Sample:
    return sample(np.full((height, width), 60.0))


def agree(pictures: NDArray[np.uint8]) -> float:
    """As the export looks at them, which refuses blank ones; the same network on both sides."""

    def predict(batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return batch.astype(np.float32), batch.astype(np.float32)

    return largest_difference(predict, predict, pictures)


def test_pictures_that_speak_are_taken_as_they_are_and_come_again() -> None:
    samples = [noise(0, 9), blank(), noise(1, 9), blank(96, 96)]
    pictures = speaking_pictures(samples[:1] + samples[2:3], GEOMETRY, 16)
    expected = lay_in([samples[0], samples[2]] * 8, GEOMETRY)[0]
    assert pictures is not None
    assert np.array_equal(pictures, expected)
    assert np.array_equal(speaking_pictures(samples, GEOMETRY, 16), expected)


def test_large_smooth_pictures_are_stretched() -> None:
    """Grain of one level and a half is averaged away when it is shrunk sixteen times."""
    samples = [noise(seed, 1.5, 1024, 2048) for seed in range(2)]
    assert lay_in(samples, GEOMETRY)[0].std(axis=(1, 2, 3)).max() < 1 < samples[0].grey.std()
    pictures = speaking_pictures(samples, GEOMETRY, 16)
    assert pictures is not None
    assert pictures.shape == (16, 1, 64, 128)
    assert agree(pictures) == 0
    assert not np.array_equal(pictures[0], pictures[1])


def test_those_that_speak_come_before_those_that_are_stretched() -> None:
    samples = [noise(0, 1.5, 1024, 2048), noise(1, 9)]
    pictures = speaking_pictures(samples, GEOMETRY, 8)
    assert pictures is not None
    assert np.array_equal(pictures[0], lay_in(samples[1:], GEOMETRY)[0][0])
    assert agree(pictures) == 0


def test_blank_pictures_say_nothing_whatever_their_padding() -> None:
    assert speaking_pictures([blank(), blank(96, 96)], GEOMETRY, 8) is None
