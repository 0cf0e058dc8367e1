"""Random fields: the noise from which steel and flaws are made.

All fields are float32 [H, W]. Each is filtered from white noise by a few additions and
multiplications only, so that a seed gives the same bits on every machine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float32]
# What arithmetic with Python floats is typed as; its values are float32 all the same.
Floats = npt.NDArray[np.floating[Any]]


def gaussian_kernel(sigma_px: float) -> Field:
    """Weights of a Gaussian cut off at 2.5 sigma, float32 [2 * radius + 1], summing to one."""
    radius = math.ceil(2.5 * sigma_px)
    weights = [
        math.exp(-0.5 * (i / sigma_px) ** 2) if sigma_px > 0 else 1.0
        for i in range(-radius, radius + 1)
    ]
    total = math.fsum(weights)
    return np.array([weight / total for weight in weights], dtype=np.float32)


def _filter_rows(field: Field, kernel: Field) -> Field:
    """Convolve along axis 0, keeping only what the kernel covers: [H, W] -> [H - K + 1, W]."""
    height = field.shape[0] - kernel.size + 1
    out: Field = field[:height] * kernel[0]
    for offset in range(1, kernel.size):
        out += field[offset : offset + height] * kernel[offset]
    return out


def grain(
    rng: np.random.Generator, height: int, width: int, sigma_y: float, sigma_x: float
) -> Field:
    """White noise blurred by two Gaussians (in px), mean 0, standard deviation 1.

    Unequal sigmas give streaks. Meant for sigmas up to about 10 px; `cloud` does larger ones.
    """
    down, over = gaussian_kernel(sigma_y), gaussian_kernel(sigma_x)
    noise = rng.standard_normal((height + down.size - 1, width + over.size - 1), dtype=np.float32)
    rows = _filter_rows(noise, down)
    blurred = _filter_rows(np.ascontiguousarray(rows.T), over).T
    energy = math.fsum(w * w for w in down.tolist()) * math.fsum(w * w for w in over.tolist())
    return as_field(np.ascontiguousarray(blurred) * (1.0 / math.sqrt(energy)))


def soften(field: Floats, sigma_px: float) -> Field:
    """Blur as a lens does, keeping the shape; beyond the edges the edge values go on."""
    kernel = gaussian_kernel(sigma_px)
    padded = np.pad(as_field(field), kernel.size // 2, mode="edge")
    rows = _filter_rows(padded, kernel)
    return np.ascontiguousarray(_filter_rows(np.ascontiguousarray(rows.T), kernel).T)


def cloud(rng: np.random.Generator, height: int, width: int, cell_y: float, cell_x: float) -> Field:
    """Smooth noise with features of about `cell` px, mean about 0, deviation about 1."""
    grid_height, grid_width = math.ceil(height / cell_y) + 3, math.ceil(width / cell_x) + 3
    grid = rng.standard_normal((grid_height, grid_width), dtype=np.float32)
    left, top = 1.0 + rng.random(), 1.0 + rng.random()
    right = min(left + width / cell_x, float(grid_width))
    bottom = min(top + height / cell_y, float(grid_height))
    smooth = Image.fromarray(grid).resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, right, bottom)
    )
    # Interpolation evens the grid's values out; the factor brings the deviation back to one.
    return as_field(np.asarray(smooth, dtype=np.float32) * 1.3)


def ramp(field: Floats, low: float, high: float) -> Field:
    """Rise smoothly from 0 where the field is below `low` to 1 where it is above `high`."""
    t = np.clip((field - low) * (1.0 / (high - low)), 0.0, 1.0)
    return as_field(t * t * (3.0 - 2.0 * t))


def as_field(values: Floats) -> Field:
    """The values as float32, copied only if they are anything else."""
    return values.astype(np.float32, copy=False)


def across(height: int, width: int) -> tuple[Field, Field]:
    """Coordinates of pixel centres, -1 at one edge to 1 at the other: (y [H, 1], x [1, W])."""
    y = (np.arange(height, dtype=np.float32) + 0.5) * (2.0 / height) - 1.0
    x = (np.arange(width, dtype=np.float32) + 0.5) * (2.0 / width) - 1.0
    return as_field(y)[:, None], as_field(x)[None, :]
