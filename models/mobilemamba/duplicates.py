"""Pictures that show the same surface: copies, near copies, and cut-outs shifted against one another.

Every pair is compared by phase correlation (Kuglin & Hines 1975) of small copies, which finds a shift whatever the
light; the few pairs with a peak are compared at full size, where the correlation of what both pictures show
of the same place decides. Low frequencies are taken away first, or two evenly lit plates would look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilemamba.pictures import Pixels, grey_of, sha256_of
from mobilemamba.small_copies import PASSES, SmallCopies
from mobilemamba.spectra import LEAST_OVERLAP, box_blur, correlation_at, high_pass, phases
from mobilemamba.watching import Watch, unwatched, watched

PIXELS_AT_A_TIME = 2**22  # of the small copies of pairs
# A picture of a smaller share of the largest one's area has no pixels left in a copy by that one's scale.
LEAST_AREA = 0.25
PEAKS_TRIED = 3
# Two pictures of one place are less alike in their small copies, whose pixels do not fall on one another.
LOST_IN_COPIES = 0.3
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


def find_overlaps(
    pictures: Sequence[Pixels], least_correlation: float, watch: Watch = unwatched
) -> tuple[Overlap, ...]:
    """All pairs of grey pictures [H, W], of any sizes but of one scale, that overlap; each by its best shift.

    Raises:
        DatasetError: see `pictures.OnDisk.decoded`.
    """
    found = _copies(pictures)
    copies = {(o.first, o.second) for o in found}
    fine = lru_cache(FINE_KEPT)(lambda place: _fine_structure(grey_of(pictures[place])))
    for first, second in _candidates(pictures, least_correlation, watch):
        if (first, second) in copies:
            continue
        overlap = _best_overlap(first, second, fine(first), fine(second))
        if overlap is not None and overlap.correlation >= least_correlation:
            found.append(overlap)
    return tuple(found)


def _copies(pictures: Sequence[Pixels]) -> list[Overlap]:
    """Equal pixels, of blank pictures too, which have no structure to compare."""
    firsts: dict[str, int] = {}
    found = []
    for place, picture in enumerate(pictures):
        first = firsts.setdefault(sha256_of(picture), place)
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


def _candidates(
    pictures: Sequence[Pixels], least_correlation: float, watch: Watch
) -> Iterator[tuple[int, int]]:
    """Pairs whose small copies have a peak of phase correlation, at both sizes, and are alike where it says.

    Small pictures are compared with large ones by the scale of these, and with one another by one of their own.
    """
    areas = [p.shape[0] * p.shape[1] for p in pictures]
    places = list(range(len(pictures)))
    while len(places) > 1:
        largest = max(areas[place] for place in places)
        small = [place for place in places if areas[place] < LEAST_AREA * largest]
        large = [place for place in places if areas[place] >= LEAST_AREA * largest]
        order = large + small
        chosen = [pictures[place] for place in order]
        for first, second in _alike(chosen, len(large), least_correlation, watch):
            one, other = sorted((order[first], order[second]))
            yield one, other
        places = small


def _alike(
    pictures: Sequence[Pixels], firsts: int, least_correlation: float, watch: Watch
) -> Iterator[tuple[int, int]]:
    """Of the pairs of each of the first `firsts` pictures with one behind it, those that may overlap."""
    coarse, finer = (SmallCopies.of(pictures, *each) for each in PASSES)
    count, work = len(pictures), "shrinking pictures to compare them"
    for place, picture in enumerate(watched(pictures, count, work, watch)):
        grey = grey_of(picture)
        coarse.put(place, grey)
        finer.put(place, grey)
    at_a_time = max(1, PIXELS_AT_A_TIME // (coarse.size[0] * coarse.size[1]))
    done, pairs = 0, firsts * (2 * count - firsts - 1) // 2
    for first in range(firsts):
        for start in range(first + 1, count, at_a_time):
            stop = min(start + at_a_time, count)
            likely = start + coarse.with_peak(first, slice(start, stop))[0]
            within, peaks = finer.with_peak(first, likely)
            for second, peak in zip(likely[within].tolist(), peaks.tolist(), strict=True):
                if finer.correlation(first, second, peak) >= least_correlation - LOST_IN_COPIES:
                    yield first, second
            done += stop - start
            watch("comparing pairs of pictures", done, pairs)


def _fine_structure(picture: NDArray[np.uint8]) -> Tensor:
    """Slightly smoothed against noise of compression, without what is wider than some 15 pixels."""
    image = torch.tensor(picture, dtype=torch.float32)
    return high_pass(box_blur(image, 3), 15)


def _best_overlap(first: int, second: int, one: Tensor, other: Tensor) -> Overlap | None:
    size = (one.shape[0] + other.shape[0], one.shape[1] + other.shape[1])  # no shift wraps around
    cross = phases(one, size) * phases(other, size).conj()
    surface = torch.fft.irfft2(cross, s=size)
    best: Overlap | None = None
    for place in surface.flatten().topk(PEAKS_TRIED).indices.tolist():
        y, x = divmod(place, size[1])
        shift = (x if x < one.shape[1] else x - size[1], y if y < one.shape[0] else y - size[0])
        correlation, share = correlation_at(one, other, shift)
        if share >= LEAST_OVERLAP and (best is None or correlation > best.correlation):
            best = Overlap(first, second, shift, correlation, share)
    return best
