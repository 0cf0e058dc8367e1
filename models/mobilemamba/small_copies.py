"""Small copies of many pictures, by which pairs are told apart that have nothing in common."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilemamba.pictures import Pixels
from mobilemamba.spectra import correlation_at, high_pass, phases

# Side of the square whose area the copies of the largest picture have, and the least peak (1 for a copy of itself)
# times the root of a copy's area. Pairs that have nothing in common stay below five standard deviations of noise,
# which are 5 / that root; what shares a third of its place is well above.
PASSES = ((64, 5.12), (128, 5.76))
LEAST_SIDE_PX = 8


@dataclass(frozen=True)
class SmallCopies:
    """Of all pictures by one scale.

    Attributes:
        scale: of the copies.
        size: of all spectra, rows and columns; no copy has more.
        least: peak of a pair of copies of one pixel each.
        images: without low frequencies, float16 [H, W] each.
        phases: complex64 [pictures, rows, columns // 2 + 1].
        roots: float32 [pictures], of the areas of the copies.
    """

    scale: float
    size: tuple[int, int]
    least: float
    images: list[Tensor]
    phases: Tensor
    roots: Tensor

    @classmethod
    def of(cls, pictures: Sequence[Pixels], side_px: int, least: float) -> SmallCopies:
        """Room for them; see `PASSES`."""
        scale = min(1.0, side_px / max(p.shape[0] * p.shape[1] for p in pictures) ** 0.5)
        sizes = [_scaled(p.shape, scale) for p in pictures]
        rows, columns = (_quick(max(each)) for each in zip(*sizes, strict=True))
        return cls(
            scale,
            (rows, columns),
            least,
            [torch.empty(size, dtype=torch.float16) for size in sizes],
            torch.empty(len(pictures), rows, columns // 2 + 1, dtype=torch.complex64),
            torch.tensor([float(h * w) ** 0.5 for h, w in sizes]),
        )

    def put(self, place: int, picture: NDArray[np.uint8]) -> None:
        """Grey, [H, W]."""
        small = F.interpolate(
            torch.tensor(picture, dtype=torch.float32)[None, None],
            size=_scaled(picture.shape, self.scale),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0, 0]
        image = high_pass(small, 5)
        self.images[place].copy_(image)
        self.phases[place] = phases(image, self.size)

    def with_peak(self, one: int, others: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Which of `others` have a peak with `one`: places within `others`, and where the peak lies, both int64 [N].

        The larger of two copies tells how many phases are independent: what lies around a copy adds none.
        """
        if isinstance(others, Tensor) and not len(others):
            return others, others
        cross = self.phases[others] * self.phases[one].conj()
        surfaces = torch.fft.irfft2(cross, s=self.size).flatten(1)
        roots = torch.maximum(self.roots[others], self.roots[one])
        places = torch.nonzero(surfaces.amax(dim=1) * roots >= self.least).flatten()
        return places, surfaces[places].argmax(dim=1)

    def correlation(self, one: int, other: int, peak: int) -> float:
        """Of two copies at a peak of theirs, -1 to 1; a shift and the one that wraps around give the same peak."""
        first, second = self.images[one].float(), self.images[other].float()
        y, x = divmod(peak, self.size[1])
        shifts = itertools.product((x, x - self.size[1]), (y, y - self.size[0]))
        return max(correlation_at(second, first, shift)[0] for shift in shifts)


def _quick(length: int) -> int:
    """The next length that Fourier transforms are quick at: of factors 2, 3 and 5."""
    rest = length
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return length if rest == 1 else _quick(length + 1)


def _scaled(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    height, width = (max(LEAST_SIDE_PX, round(side * scale)) for side in shape)
    return height, width
