"""Pictures that say something at a network's input: on a blank one every network agrees with every other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobilemamba.dataset import Sample
from mobilemamba.evaluate import InputGeometry, lay_in

LEAST_STD = 1.0  # grey levels, of a picture as it is laid in
STRETCHED_STD = 40.0


def speaking_pictures(
    samples: Sequence[Sample], geometry: InputGeometry, count: int
) -> NDArray[np.uint8] | None:
    """So many of the samples as a network sees them, uint8 [count, 1, H, W]; those of a small set come again.

    Large, smooth pictures lose their grain when they are shrunk. Where too few others are left, the most textured
    of them are taken with their contrast stretched.

    Returns:
        None where every picture is blank.
    """
    chosen: list[NDArray[np.uint8]] = []
    silent = []
    for sample in samples:
        if len(chosen) == count:
            break
        picture = _laid_in(sample, geometry)
        if picture is None:
            silent.append(sample)
        else:
            chosen.append(picture)
    for sample in sorted(silent, key=lambda s: -float(s.grey.std())):
        if len(chosen) == count:
            break
        picture = _laid_in(_stretched(sample), geometry)
        if picture is not None:
            chosen.append(picture)
    return np.stack(list(itertools.islice(itertools.cycle(chosen), count))) if chosen else None


def _laid_in(sample: Sample, geometry: InputGeometry) -> NDArray[np.uint8] | None:
    """uint8 [1, H, W]; None where it is blank, with the padding and without."""
    pictures, (box,) = lay_in([sample], geometry)
    rows = slice(box.top_px, box.top_px + box.resized_height_px)
    columns = slice(box.left_px, box.left_px + box.resized_width_px)
    picture = pictures[0]
    blank = min(picture.std(), picture[0, rows, columns].std()) < LEAST_STD
    return None if blank else picture


def _stretched(sample: Sample) -> Sample:
    grey = sample.grey.astype(np.float32)
    std = float(grey.std())
    if std == 0:
        return sample
    grey = (grey - grey.mean()) * (STRETCHED_STD / std) + 128
    return dataclasses.replace(sample, pixels=grey.round().clip(0, 255).astype(np.uint8))
