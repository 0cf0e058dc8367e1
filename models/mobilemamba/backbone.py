"""The MobileMamba backbone: a stem of stride 8 and three stages at strides 8, 16 and 32."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mobilemamba.blocks import Downsample, MobileMambaBlock, Mrffi
from mobilemamba.layers import ConvNorm

GLOBAL_SHARES = (0.8, 0.7, 0.6)  # of the channels, by stage (the MobileMamba paper)
LOCAL_SHARES = (0.2, 0.2, 0.3)
LOCAL_KERNELS = (7, 5, 3)


@dataclass(frozen=True)
class BackboneSize:
    """Widths and depths of the three stages, and the scan's heads and state size.

    `scan` False puts a 7x7 depthwise convolution in the scan's place, `wavelet` False leaves that branch out:
    what an ablation compares with.
    """

    widths: tuple[int, int, int]
    depths: tuple[int, int, int]
    heads: int
    state_size: int
    scan: bool = True
    wavelet: bool = True


class Backbone(nn.Module):
    """[B, 1, H, W] normalised grey pictures -> maps at strides 8, 16, 32. H and W are multiples of 64."""

    def __init__(self, size: BackboneSize, in_channels: int = 1) -> None:
        super().__init__()
        first = size.widths[0]
        self.stem = nn.Sequential(
            ConvNorm(in_channels, first // 4, 3, stride=2),
            nn.ReLU(inplace=True),
            ConvNorm(first // 4, first // 2, 3, stride=2),
            nn.ReLU(inplace=True),
            ConvNorm(first // 2, first, 3, stride=2),
        )
        self.stages = nn.ModuleList(_stage(size, i) for i in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        c3 = self.stages[0](self.stem(x))
        c4 = self.stages[1](c3)
        return c3, c4, self.stages[2](c4)


def _stage(size: BackboneSize, index: int) -> nn.Sequential:
    width = size.widths[index]
    blocks: list[nn.Module] = []
    if index:
        blocks.append(Downsample(size.widths[index - 1], width))
    for _ in range(size.depths[index]):
        # whole heads, so that the share is met as nearly as the heads allow
        wide = max(1, round(width * GLOBAL_SHARES[index] / size.heads)) * size.heads
        near = min(round(width * LOCAL_SHARES[index]), width - wide)
        mixer = Mrffi(
            width,
            wide,
            near,
            LOCAL_KERNELS[index],
            size.heads,
            size.state_size,
            scan=size.scan,
            wavelet=size.wavelet,
        )
        blocks.append(MobileMambaBlock(width, mixer))
    return nn.Sequential(*blocks)
