"""Phases of pictures, and how alike two of them are at a shift: what finding one surface twice is made of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_OVERLAP = 0.15  # of the smaller picture


def phases(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Of the spectrum of a windowed image [H, W], padded to `size`: complex [rows, columns // 2 + 1], of length 1."""
    window = torch.outer(*(torch.hann_window(n, periodic=False) ** 0.5 for n in image.shape))
    spectrum = torch.fft.rfft2(image * window, s=size)
    return spectrum / spectrum.abs().clamp(min=1e-6)


def high_pass(image: Tensor, kernel: int) -> Tensor:
    """An image [H, W] less its mean over `kernel` pixels each way."""
    return image - box_blur(image, kernel)


def box_blur(image: Tensor, kernel: int) -> Tensor:
    """Rows, then columns: much cheaper than the square."""
    blurred = image[None, None]
    for window in ((kernel, 1), (1, kernel)):
        padding = (window[0] // 2, window[1] // 2)
        blurred = F.avg_pool2d(blurred, window, 1, padding, count_include_pad=False)
    return blurred[0, 0]


def correlation_at(one: Tensor, other: Tensor, shift_xy: tuple[int, int]) -> tuple[float, float]:
    """Correlation where both have pixels, when the second's origin lies at `shift_xy` in the first; and their share."""
    spans = []
    for axis, shift in ((0, shift_xy[1]), (1, shift_xy[0])):
        low, high = max(0, shift), min(one.shape[axis], shift + other.shape[axis])
        spans.append((low, max(low, high), shift))
    (top, bottom, y), (left, right, x) = spans
    a, b = one[top:bottom, left:right], other[top - y : bottom - y, left - x : right - x]
    share = a.numel() / min(one.numel(), other.numel())
    if share < LEAST_OVERLAP:
        return 0.0, share
    a, b = a - a.mean(), b - b.mean()
    norm = float(a.norm() * b.norm())
    return (float((a * b).sum()) / norm if norm > 0 else 0.0), share
