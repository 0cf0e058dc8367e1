"""Pictures that show the same surface: copies, near copies, and cut-outs shifted against one another.

Every pair is compared by phase correlation (Kuglin & Hines 1975) of small copies, which finds a shift whatever the
light; the few pairs with a peak are compared at full size, where the correlation of what both pictures show
of the same place decides. Low frequencies are taken away first, or two evenly lit plates would look alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilemamba.pictures import Pixels, grey_of

# Longest side of the copies, and the least peak (1 for a copy of itself). Pairs that have nothing in common stay
# below five standard deviations of noise, 5 / side; what shares a third of its place is well above.
PASSES = ((64, 0.08), (128, 0.045))
PAIRS_AT_A_TIME = 1024
LEAST_OVERLAP = 0.15  # of the smaller picture
PEAKS_TRIED = 3
FINE_KEPT = 4  # pairs come in order of their first: it serves all of its pairs, and four are no burden at any size


@dataclass(frozen=True)
class Overlap:
    """Two pictures that show the same place.

    Attributes:
        first, second: their positions in what was compared.
        shift_xy: where the second's origin lies in the first, whole pixels.
        correlation: of the part that both show, fine structure alone, -1 to 1.
        share: of the smaller picture that both show.
    """

    first: int
    second: int
    shift_xy: tuple[int, int]
    correlation: float
    share: float


def find_overlaps(pictures: Sequence[Pixels], least_correlation: float) -> tuple[Overlap, ...]:
    """All pairs of grey pictures [H, W], of any sizes but of one scale, that overlap; each by its best shift.

    Raises:
        DatasetError: see `pictures.OnDisk.decoded`.
    """
    found = _copies(pictures)
    copies = {(o.first, o.second) for o in found}
    fine = lru_cache(FINE_KEPT)(lambda place: _fine_structure(grey_of(pictures[place])))
    for first, second in _candidates(pictures):
        if (first, second) in copies:
            continue
        overlap = _best_overlap(first, second, fine(first), fine(second))
        if overlap is not None and overlap.correlation >= least_correlation:
            found.append(overlap)
    return tuple(found)


def _copies(pictures: Sequence[Pixels]) -> list[Overlap]:
    """Equal pixels, of blank pictures too, which have no structure to compare."""
    firsts: dict[tuple[tuple[int, ...], bytes], int] = {}
    found = []
    for place, picture in enumerate(pictures):
        digest = hashlib.sha256(np.ascontiguousarray(grey_of(picture))).digest()
        first = firsts.setdefault((picture.shape, digest), place)
        if first != place:
            found.append(Overlap(first, place, (0, 0), 1.0, 1.0))
    return found


def groups_of(count: int, overlaps: Sequence[Overlap]) -> tuple[tuple[int, ...], ...]:
    """0 .. count - 1 in groups that overlaps connect, in order of their first member."""
    leader = list(range(count))

    def find(member: int) -> int:
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for overlap in overlaps:
        one, other = sorted((find(overlap.first), find(overlap.second)))
        leader[other] = one
    groups: dict[int, list[int]] = {}
    for member in range(count):
        groups.setdefault(find(member), []).append(member)
    return tuple(tuple(members) for members in groups.values())


def _candidates(pictures: Sequence[Pixels]) -> Iterator[tuple[int, int]]:
    """Pairs whose small copies have a peak of phase correlation, at the first size and then at the second."""
    (_, least), (_, least_again) = PASSES
    longest = max(max(p.shape) for p in pictures)
    coarse, finer = (
        torch.empty(len(pictures), side, side // 2 + 1, dtype=torch.complex64) for side, _ in PASSES
    )
    for place, picture in enumerate(pictures):
        coarse[place], finer[place] = _spectra(grey_of(picture), longest)
    for first in range(len(pictures) - 1):
        for start in range(first + 1, len(pictures), PAIRS_AT_A_TIME):
            peaks = _peaks(coarse[first], coarse[start : start + PAIRS_AT_A_TIME])
            likely = start + torch.nonzero(peaks >= least).flatten()
            if len(likely):
                kept = _peaks(finer[first], finer[likely]) >= least_again
                yield from ((first, int(second)) for second in likely[kept])


def _spectra(picture: NDArray[np.uint8], longest_px: int) -> list[Tensor]:
    """Phases of windowed copies, complex [side, side // 2 + 1] for each pass; a copy and itself have a peak of 1."""
    image = torch.tensor(picture, dtype=torch.float32)[None, None]
    spectra = []
    for side_px, _ in PASSES:
        scale = min(1.0, side_px / longest_px)
        size = [max(8, round(side * scale)) for side in picture.shape]
        small = F.interpolate(
            image, size=size, mode="bilinear", antialias=True, align_corners=False
        )
        spectra.append(_phases(_high_pass(small[0, 0], 5), (side_px, side_px)))
    return spectra


def _peaks(one: Tensor, others: Tensor) -> Tensor:
    side = one.shape[0]
    return torch.fft.irfft2(others * one.conj(), s=(side, side)).amax(dim=(1, 2))


def _phases(image: Tensor, size: tuple[int, int]) -> Tensor:
    window = torch.outer(*(torch.hann_window(n, periodic=False) ** 0.5 for n in image.shape))
    spectrum = torch.fft.rfft2(image * window, s=size)
    return spectrum / spectrum.abs().clamp(min=1e-6)


def _high_pass(image: Tensor, kernel: int) -> Tensor:
    return image - _box_blur(image, kernel)


def _box_blur(image: Tensor, kernel: int) -> Tensor:
    """Rows, then columns: much cheaper than the square."""
    blurred = image[None, None]
    for window in ((kernel, 1), (1, kernel)):
        padding = (window[0] // 2, window[1] // 2)
        blurred = F.avg_pool2d(blurred, window, 1, padding, count_include_pad=False)
    return blurred[0, 0]


def _fine_structure(picture: NDArray[np.uint8]) -> Tensor:
    """Slightly smoothed against noise of compression, without what is wider than some 15 pixels."""
    image = torch.tensor(picture, dtype=torch.float32)
    return _high_pass(_box_blur(image, 3), 15)


def _best_overlap(first: int, second: int, one: Tensor, other: Tensor) -> Overlap | None:
    size = (one.shape[0] + other.shape[0], one.shape[1] + other.shape[1])  # no shift wraps around
    cross = _phases(one, size) * _phases(other, size).conj()
    surface = torch.fft.irfft2(cross, s=size)
    best: Overlap | None = None
    for place in surface.flatten().topk(PEAKS_TRIED).indices.tolist():
        y, x = divmod(place, size[1])
        shift = (x if x < one.shape[1] else x - size[1], y if y < one.shape[0] else y - size[0])
        correlation, share = _correlation_at(one, other, shift)
        if share >= LEAST_OVERLAP and (best is None or correlation > best.correlation):
            best = Overlap(first, second, shift, correlation, share)
    return best


def _correlation_at(one: Tensor, other: Tensor, shift_xy: tuple[int, int]) -> tuple[float, float]:
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
