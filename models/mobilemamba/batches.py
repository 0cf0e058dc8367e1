"""Batches of one epoch: a pure function of (seed, epoch).

A resumed run therefore sees what an unbroken one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mobilemamba.assigner import Targets
from mobilemamba.augment import AugmentConfig, Example, augment
from mobilemamba.dataset import Sample


@dataclass(frozen=True)
class Batch:
    """pictures: uint8 [B, 1, H, W]; names: the first picture of each example, for error messages."""

    pictures: Tensor
    targets: Targets
    names: tuple[str, ...]


@dataclass(frozen=True)
class EpochPlan:
    """How an epoch's batches are made.

    Attributes:
        batch_size: examples a step; the last, smaller batch of an epoch is left out.
        size_hw: input height and width, pixels.
        pad_value: grey level around pictures.
        seed: of the run.
        augmentation: ranges.
    """

    batch_size: int
    size_hw: tuple[int, int]
    pad_value: int
    seed: int
    augmentation: AugmentConfig

    def steps(self, samples: int) -> int:
        """Steps in an epoch of so many samples."""
        return max(1, samples // self.batch_size)

    def batches(
        self, samples: tuple[Sample, ...], epoch: int, allow_mosaic: bool
    ) -> Iterator[Batch]:
        """The epoch's batches, shuffled."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(samples))
        for step in range(self.steps(len(samples))):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            examples = [self._example(samples, int(i), epoch, allow_mosaic) for i in chosen]
            yield Batch(_stack(examples), collate(examples), tuple(samples[i].name for i in chosen))

    def _example(
        self, samples: tuple[Sample, ...], index: int, epoch: int, allow_mosaic: bool
    ) -> Example:
        rng = np.random.default_rng((self.seed, epoch, index))
        return augment(
            samples[index],
            lambda: samples[int(rng.integers(len(samples)))],
            rng,
            self.augmentation,
            self.size_hw,
            self.pad_value,
            allow_mosaic,
        )


def _stack(examples: list[Example]) -> Tensor:
    return torch.from_numpy(np.stack([e.grey for e in examples])[:, None])


def collate(examples: list[Example]) -> Targets:
    """Pad the boxes of a batch to the largest count."""
    most = max(len(e.class_ids) for e in examples)
    boxes = torch.zeros(len(examples), most, 4)
    class_ids = torch.zeros(len(examples), most, dtype=torch.int64)
    present = torch.zeros(len(examples), most, dtype=torch.bool)
    for row, example in enumerate(examples):
        count = len(example.class_ids)
        boxes[row, :count] = torch.from_numpy(example.boxes_xyxy)
        class_ids[row, :count] = torch.from_numpy(example.class_ids)
        present[row, :count] = True
    return Targets(boxes, class_ids, present)
