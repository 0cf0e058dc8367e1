"""Spatial pyramid pooling and a path-aggregation pyramid over strides 8, 16, 32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.layers import ConvNorm, FeedForward, Residual, depthwise


class SpatialPyramidPool(nn.Module):
    """Max pools of 5, 9 and 13 (three 5x5 pools in a row) beside the input, mixed by a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.reduce = nn.Sequential(ConvNorm(in_channels, hidden), nn.ReLU(inplace=True))
        self.mix = nn.Sequential(ConvNorm(4 * hidden, out_channels), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        maps = [self.reduce(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, stride=1, padding=2))
        return self.mix(torch.cat(maps, dim=1))


class Fusion(nn.Sequential):
    """Mix two concatenated maps: 1x1 to the neck's width, then residual depthwise 5x5 and feed-forward."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            ConvNorm(in_channels, channels),
            nn.ReLU(inplace=True),
            Residual(depthwise(channels, 5, norm_scale=0.0)),
            Residual(FeedForward(channels, ratio=1)),
        )


class Neck(nn.Module):
    """Top-down, then bottom-up (Liu et al. 2018, PANet); three maps of one width out."""

    def __init__(self, widths: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.laterals = nn.ModuleList(ConvNorm(w, channels) for w in widths[:2])
        self.pool = SpatialPyramidPool(widths[2], channels)
        self.down4, self.down3 = Fusion(2 * channels, channels), Fusion(2 * channels, channels)
        self.reduce3 = depthwise(channels, 3, stride=2)
        self.reduce4 = depthwise(channels, 3, stride=2)
        self.up4, self.up5 = Fusion(2 * channels, channels), Fusion(2 * channels, channels)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Backbone maps at strides 8, 16, 32 -> [B, channels, H / s, W / s] for s = 8, 16, 32."""
        c3, c4, c5 = maps
        top = self.pool(c5)
        middle = self.down4(torch.cat((self.laterals[1](c4), _double(top)), dim=1))
        p3 = self.down3(torch.cat((self.laterals[0](c3), _double(middle)), dim=1))
        p4 = self.up4(torch.cat((self.reduce3(p3), middle), dim=1))
        p5 = self.up5(torch.cat((self.reduce4(p4), top), dim=1))
        return p3, p4, p5


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
