"""The small parts that every block is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution without bias, then batch norm; "same" padding.

    Args:
        norm_scale: where the norm's scale starts. 0 makes a residual branch start as the identity.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm_scale: float = 1.0,
    ) -> None:
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        norm = nn.BatchNorm2d(out_channels)
        nn.init.constant_(norm.weight, norm_scale)
        super().__init__(conv, norm)


def depthwise(channels: int, kernel: int, stride: int = 1, norm_scale: float = 1.0) -> ConvNorm:
    """A depthwise `ConvNorm`."""
    return ConvNorm(channels, channels, kernel, stride, groups=channels, norm_scale=norm_scale)


class Residual(nn.Module):
    """``x + branch(x)``."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return x + self.branch(x)


class FeedForward(nn.Sequential):
    """1x1 expansion by `ratio`, ReLU, 1x1 back; its last norm starts at zero."""

    def __init__(self, channels: int, ratio: int = 2) -> None:
        super().__init__(
            ConvNorm(channels, channels * ratio),
            nn.ReLU(inplace=True),
            ConvNorm(channels * ratio, channels, norm_scale=0.0),
        )


class SqueezeExcite(nn.Module):
    """Channel gates from the global mean (Hu et al. 2018), hidden width channels / 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 4)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True))


class ChannelScale(nn.Module):
    """One learned factor a channel."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1, channels, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return x * self.factor
