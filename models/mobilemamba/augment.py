"""Seeded augmentation: geometry by one affine warp, mosaic, and light.

The same generator state gives the same picture, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from mobilemamba.dataset import Sample
from mobilemamba.strip_edge import past_the_edge
from mobilemamba.visible import cut_to


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges are drawn from uniformly; probabilities are 0..1.

    Attributes:
        mosaic: probability of a picture made of four.
        scale: zoom relative to the letterboxed picture, low and high (log-uniform).
        stretch: largest change of the aspect ratio, e.g. 0.1 for 0.9 .. 1.1.
        translate: largest shift as a share of the input side.
        flip_horizontal, flip_vertical, transpose: probabilities.
        gain: largest relative change of contrast.
        offset: largest change of brightness in grey levels.
        gamma: largest exponent of the tone curve (and its inverse).
        noise: largest standard deviation of Gaussian noise in grey levels.
        edge: probability of a side that lies past the edge of the strip (`strip_edge`).
        least_visible: a box cut down below this share of its area is dropped.
    """

    mosaic: float = 0.5
    scale: tuple[float, float] = (0.6, 1.6)
    stretch: float = 0.1
    translate: float = 0.1
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    transpose: float = 0.0
    gain: float = 0.3
    offset: float = 25.0
    gamma: float = 1.3
    noise: float = 5.0
    edge: float = 0.0
    least_visible: float = 0.3


@dataclass(frozen=True)
class Example:
    """What the network is shown: uint8 [H, W], float32 [N, 4] boxes in input pixels, int64 [N] classes."""

    grey: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def augment(
    sample: Sample,
    draw_other: Callable[[], Sample],
    rng: Generator,
    config: AugmentConfig,
    size_hw: tuple[int, int],
    pad_value: int,
    allow_mosaic: bool,
) -> Example:
    """One augmented example.

    Args:
        sample: the picture whose turn it is.
        draw_other: gives another picture, for mosaics; must draw from `rng` alone.
        rng: the only source of chance.
        config: ranges.
        size_hw: height and width of the input, pixels.
        pad_value: grey level around the picture.
        allow_mosaic: False in the last epochs.
    """
    if allow_mosaic and rng.random() < config.mosaic:
        example = _mosaic(sample, draw_other, rng, config, size_hw, pad_value)
    else:
        example = _single(sample, rng, config, size_hw, pad_value)
    example = Example(_light(example.grey, rng, config), example.boxes_xyxy, example.class_ids)
    if config.edge > 0 and rng.random() < config.edge:  # without, earlier runs draw as they did
        grey, boxes, kept = past_the_edge(
            example.grey, example.boxes_xyxy, rng, config.least_visible
        )
        return Example(grey, boxes, example.class_ids[kept])
    return example


def _draw_linear(
    rng: Generator, config: AugmentConfig, sample: Sample, size_hw: tuple[int, int], share: float
) -> NDArray[np.float64]:
    """A 2x2 matrix from picture to input pixels: zoom by `share` of what fits, stretch, flips, transpose."""
    low, high = np.log(config.scale)
    zoom = float(np.exp(rng.uniform(low, high)))
    stretch = 1 + rng.uniform(-config.stretch, config.stretch)
    flip_x, flip_y = rng.random() < config.flip_horizontal, rng.random() < config.flip_vertical
    transposed = rng.random() < config.transpose
    zoom = share * _fit(sample.shape[:: -1 if transposed else 1], size_hw) * zoom
    matrix = np.diag([-zoom * stretch if flip_x else zoom * stretch, -zoom if flip_y else zoom])
    return matrix[:, ::-1].copy() if transposed else matrix


def _fit(shape: tuple[int, ...], size_hw: tuple[int, int]) -> float:
    rows, columns = shape
    return min(size_hw[0] / rows, size_hw[1] / columns)


def _single(
    sample: Sample, rng: Generator, config: AugmentConfig, size_hw: tuple[int, int], pad_value: int
) -> Example:
    height, width = size_hw
    linear = _draw_linear(rng, config, sample, size_hw, 1.0)
    shift = rng.uniform(-config.translate, config.translate, size=2) * (width, height)
    rows, columns = sample.shape
    centre = linear @ np.array([columns / 2, rows / 2])
    offset = np.array([width / 2, height / 2]) + shift - centre
    grey = _warp(sample.grey, linear, offset, size_hw, pad_value)
    boxes, kept = _move_boxes(sample.boxes_xyxy, linear, offset, (0, 0, width, height), config)
    return Example(grey, boxes, sample.class_ids[kept])


def _mosaic(
    sample: Sample,
    draw_other: Callable[[], Sample],
    rng: Generator,
    config: AugmentConfig,
    size_hw: tuple[int, int],
    pad_value: int,
) -> Example:
    """Four pictures whose corners meet at a random point, each cut by its quadrant."""
    height, width = size_hw
    meet_x = int(width * rng.uniform(0.3, 0.7))
    meet_y = int(height * rng.uniform(0.3, 0.7))
    grey = np.full(size_hw, pad_value, dtype=np.uint8)
    boxes, class_ids = [], []
    quadrants = [(0, 0), (1, 0), (0, 1), (1, 1)]
    for place, (right, below) in enumerate(quadrants):
        piece = sample if place == 0 else draw_other()
        x0, x1 = (meet_x, width) if right else (0, meet_x)
        y0, y1 = (meet_y, height) if below else (0, meet_y)
        linear = _draw_linear(rng, config, piece, size_hw, 0.75)
        rows, columns = piece.shape
        corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]]) @ linear.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        anchor = np.where(
            [right, below], low, high
        )  # this corner of the picture lies at the meeting point
        offset = np.array([meet_x, meet_y]) - anchor
        part = _warp(piece.grey, linear, offset - (x0, y0), (y1 - y0, x1 - x0), pad_value)
        grey[y0:y1, x0:x1] = part
        moved, kept = _move_boxes(piece.boxes_xyxy, linear, offset, (x0, y0, x1, y1), config)
        boxes.append(moved)
        class_ids.append(piece.class_ids[kept])
    return Example(grey, np.concatenate(boxes), np.concatenate(class_ids))


def _warp(
    grey: NDArray[np.uint8],
    linear: NDArray[np.float64],
    offset: NDArray[np.float64],
    size_hw: tuple[int, int],
    pad_value: int,
) -> NDArray[np.uint8]:
    """Draw ``linear @ p + offset``; Pillow wants the inverse, output to picture.

    A picture that becomes smaller is shrunk first with the filter of the letterbox: the warp itself takes
    single pixels, and would show training a noise that serving never sees.
    """
    zoom = abs(float(np.linalg.det(linear))) ** 0.5
    if zoom < 1:
        rows, columns = grey.shape
        size = (max(1, round(columns * zoom)), max(1, round(rows * zoom)))
        shrunk = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR)
        linear = linear @ np.diag([columns / size[0], rows / size[1]])
        grey = np.asarray(shrunk)
    inverse = np.linalg.inv(linear)
    back = -inverse @ offset
    coefficients = (*inverse[0], back[0], *inverse[1], back[1])
    picture = Image.fromarray(grey).transform(
        (size_hw[1], size_hw[0]),
        Image.Transform.AFFINE,
        coefficients,
        Image.Resampling.BILINEAR,
        fillcolor=pad_value,
    )
    return np.asarray(picture)


def _move_boxes(
    boxes_xyxy: NDArray[np.float32],
    linear: NDArray[np.float64],
    offset: NDArray[np.float64],
    window_xyxy: tuple[int, int, int, int],
    config: AugmentConfig,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes after the warp, clipped to the window, and which of them are still visible."""
    first = boxes_xyxy[:, :2] @ linear.T + offset
    second = boxes_xyxy[:, 2:] @ linear.T + offset
    low, high = np.minimum(first, second), np.maximum(first, second)
    moved = np.concatenate((low, high), axis=1)
    return cut_to(moved, window_xyxy, config.least_visible)


def _light(grey: NDArray[np.uint8], rng: Generator, config: AugmentConfig) -> NDArray[np.uint8]:
    """Contrast around the mean, brightness, tone curve, noise."""
    pixels = grey.astype(np.float32)
    gain = 1 + rng.uniform(-config.gain, config.gain)
    mean = float(pixels.mean())
    pixels = (pixels - mean) * np.float32(gain) + np.float32(
        mean + rng.uniform(-config.offset, config.offset)
    )
    gamma = np.exp(rng.uniform(-1, 1) * np.log(config.gamma))
    pixels = 255 * (pixels.clip(0, 255) / 255) ** np.float32(gamma)
    sigma = rng.uniform(0, config.noise)
    pixels += np.float32(sigma) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return pixels.round().clip(0, 255).astype(np.uint8)
