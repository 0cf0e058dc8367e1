"""The MobileMamba block (He et al., CVPR 2025, arXiv 2411.15941), with the scan made axial so that it exports.

Our one change to the paper: instead of a scan over the flattened map, every row is scanned in both
directions and then every column (`scan.py`). Sequences are then at most the map's width or height
long, and the scan is one matrix product.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.layers import (
    ChannelScale,
    ConvNorm,
    FeedForward,
    Residual,
    SqueezeExcite,
    depthwise,
)
from mobilemamba.scan_kernel import scan_for
from mobilemamba.wavelet import haar_forward, haar_inverse

STEP_RANGE = (
    0.01,
    0.3,
)  # initial step sizes: memories from about 3 to 100 positions, the lengths that occur at stride 8
MIX_CEILING = 64.0
"""Most that a mixed channel may say; real frames hardly reach it.

The scan multiplies four maps, and its product again. On a frame that is half black such powers grew from block to
block, to infinity.
"""
SCAN_STAND_IN_KERNEL = 7  # of the convolution that an ablation puts in the scan's place


class AxialScan(nn.Module):
    """Selective state-space mixing of a whole map: along every row, then along every column, both directions each.

    Args:
        channels: divisible by `heads`.
        heads: decay rates learned apart.
        state_size: N of the papers.
    """

    def __init__(self, channels: int, heads: int, state_size: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared by {heads} heads")
        self.channels, self.heads, self.state_size = channels, heads, state_size
        self.sizes = (channels, *(heads, state_size, state_size) * 2)
        self.project = nn.Conv2d(channels, sum(self.sizes), 1)
        self.row_decay_log = nn.Parameter(torch.linspace(0.0, math.log(4.0), heads))
        self.column_decay_log = nn.Parameter(torch.linspace(0.0, math.log(4.0), heads))
        low, high = (math.log(s) for s in STEP_RANGE)
        start = torch.exp(torch.rand(2, heads) * (high - low) + low)
        self.step_bias = nn.Parameter(torch.log(torch.expm1(start)))  # the inverse of softplus
        self.skip = ChannelScale(channels, 1.0)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        batch, _, height, width = x.shape
        values, row_step, row_in, row_out, column_step, column_in, column_out = self.project(
            x
        ).split(self.sizes, dim=1)
        heads = values.reshape(batch, self.heads, -1, height, width)
        row_step = F.softplus(row_step + self.step_bias[0, :, None, None])
        column_step = F.softplus(column_step + self.step_bias[1, :, None, None])
        # the scanned axis goes last, the other one beside the batch: [B, H, heads, P, W]
        scan = scan_for(x)
        rows = scan(
            heads.permute(0, 3, 1, 2, 4),
            row_step.transpose(1, 2),
            self.row_decay_log,
            row_in.transpose(1, 2),
            row_out.transpose(1, 2),
        )
        # [B, H, heads, P, W] -> [B, W, heads, P, H]
        columns = scan(
            rows.permute(0, 4, 2, 3, 1),
            column_step.permute(0, 3, 1, 2),
            self.column_decay_log,
            column_in.permute(0, 3, 1, 2),
            column_out.permute(0, 3, 1, 2),
        )
        scanned = columns.permute(0, 2, 3, 4, 1).reshape(batch, self.channels, height, width)
        return self.norm(scanned + self.skip(values))


class WaveletBranch(nn.Module):
    """Depthwise 3x3 on the four Haar sub-bands, scaled from 0.1, and back: keeps the high frequencies of fine flaws."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(
            4 * channels, 4 * channels, 3, padding=1, groups=4 * channels, bias=False
        )
        self.scale = ChannelScale(4 * channels, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W], H and W even -> the same shape."""
        return haar_inverse(self.scale(self.mix(haar_forward(x))))


class Mrffi(nn.Module):
    """Multi-receptive-field feature interaction: a global, a local and an identity part, mixed by a 1x1 convolution.

    Args:
        channels: width.
        global_channels: seen by the scan and the wavelet branch.
        local_channels: seen by a depthwise `local_kernel` x `local_kernel` convolution; what is left passes unchanged.
        local_kernel: see above.
        heads, state_size: of the scan.
        scan: False puts a depthwise convolution of `SCAN_STAND_IN_KERNEL` in its place.
        wavelet: False leaves the wavelet branch out.
    """

    def __init__(
        self,
        channels: int,
        global_channels: int,
        local_channels: int,
        local_kernel: int,
        heads: int,
        state_size: int,
        scan: bool = True,
        wavelet: bool = True,
    ) -> None:
        super().__init__()
        identity_channels = channels - global_channels - local_channels
        if min(global_channels, local_channels) < 1 or identity_channels < 0:
            raise ValueError(
                f"{channels} channels cannot hold {global_channels} + {local_channels}"
            )
        self.channel_counts = (global_channels, local_channels, identity_channels)
        self.scan: nn.Module = (
            AxialScan(global_channels, heads, state_size)
            if scan
            else depthwise(global_channels, SCAN_STAND_IN_KERNEL)
        )
        self.wavelet = WaveletBranch(global_channels) if wavelet else None
        self.local = depthwise(local_channels, local_kernel)
        self.mix = nn.Sequential(
            nn.Hardtanh(0.0, MIX_CEILING), ConvNorm(channels, channels, norm_scale=0.0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        wide, near, same = x.split(self.channel_counts, dim=1)
        far = self.scan(wide)
        if self.wavelet is not None:
            far = far + self.wavelet(wide)
        return self.mix(torch.cat((far, self.local(near), same), dim=1))


class MobileMambaBlock(nn.Sequential):
    """Depthwise 3x3, feed-forward, MRFFI, depthwise 3x3, feed-forward; each residual and starting as the identity."""

    def __init__(self, channels: int, mixer: Mrffi) -> None:
        super().__init__(
            Residual(depthwise(channels, 3, norm_scale=0.0)),
            Residual(FeedForward(channels)),
            Residual(mixer),
            Residual(depthwise(channels, 3, norm_scale=0.0)),
            Residual(FeedForward(channels)),
        )


class Downsample(nn.Sequential):
    """Halve the map between stages: expand 1x1, depthwise 3x3 of stride 2, squeeze-excite, 1x1 to the new width."""

    def __init__(self, in_channels: int, out_channels: int, ratio: int = 2) -> None:
        hidden = in_channels * ratio
        super().__init__(
            ConvNorm(in_channels, hidden),
            nn.ReLU(inplace=True),
            depthwise(hidden, 3, stride=2),
            nn.ReLU(inplace=True),
            SqueezeExcite(hidden),
            ConvNorm(hidden, out_channels),
        )
