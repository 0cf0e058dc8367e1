"""The mixer of a block with fewer parts: four strided convolutions and the scan."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mobilemamba.blocks import AxialScan, Mrffi
from mobilemamba.folding.phases import Phases
from mobilemamba.folding.scan import FoldedScan


class FoldedMixer(nn.Module):
    """What an `Mrffi` with scan and wavelet branch computes in evaluation mode."""

    def __init__(self, mixer: Mrffi) -> None:
        super().__init__()
        assert isinstance(mixer.scan, AxialScan)  # noqa: S101 - the caller has looked
        self._sizes = mixer.channel_counts
        self.scan = FoldedScan(mixer.scan, sum(self._sizes))
        self.phases = Phases(mixer, self.scan.shift)
        self.mix = mixer.mix

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        wide = self._sizes[0]
        far, rest = self.phases(x).split((wide, sum(self._sizes) - wide), dim=1)
        return self.mix(torch.cat((far + self.scan(x), rest), dim=1))
