"""The one-level 2-D Haar transform and its inverse, orthonormal, on maps of even height and width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def haar_forward(image: Tensor) -> Tensor:
    """Split a map into its four half-size sub-bands.

    Args:
        image: [B, C, H, W], H and W even.

    Returns:
        [B, 4 * C, H / 2, W / 2]: all C of LL, then of LH (vertical change), HL (horizontal change), HH.
    """
    batch, channels, height, width = image.shape
    corners = F.pixel_unshuffle(image, 2).view(batch, channels, 4, height // 2, width // 2)
    a, b, c, d = corners.unbind(dim=2)  # top left, top right, bottom left, bottom right
    top, bottom, top_step, bottom_step = a + b, c + d, a - b, c - d
    return 0.5 * torch.cat(
        (top + bottom, top - bottom, top_step + bottom_step, top_step - bottom_step), dim=1
    )


def haar_inverse(bands: Tensor) -> Tensor:
    """Undo `haar_forward`.

    Args:
        bands: [B, 4 * C, h, w] in the order that `haar_forward` gives.

    Returns:
        [B, C, 2 * h, 2 * w].
    """
    low, vertical, horizontal, diagonal = bands.chunk(4, dim=1)
    top, bottom = low + vertical, low - vertical
    top_step, bottom_step = horizontal + diagonal, horizontal - diagonal
    corners = torch.stack(
        (top + top_step, top - top_step, bottom + bottom_step, bottom - bottom_step), dim=2
    )
    return 0.5 * F.pixel_shuffle(corners.flatten(1, 2), 2)
