"""The neck without concatenations: a 1x1 convolution of two maps is the sum of one of each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.folding.convolutions import convolution, folded
from mobilemamba.layers import ConvNorm
from mobilemamba.neck import Fusion, Neck


class PairConvolution(nn.Module):
    """A 1x1 `ConvNorm` of two maps given apart; `second` may have half the size, and is doubled after its convolution.

    Args:
        layer: of both maps' channels.
        first_channels: how many come from the first.
        lateral: a 1x1 `ConvNorm` that the first has yet to go through; nothing lies between, so the two are one.
    """

    def __init__(
        self, layer: ConvNorm, first_channels: int, lateral: ConvNorm | None = None
    ) -> None:
        super().__init__()
        kernel, bias = folded(layer)
        first, second = kernel.split((first_channels, kernel.shape[1] - first_channels), dim=1)
        if lateral is not None:
            before, shift = folded(lateral)
            bias = bias + first[:, :, 0, 0] @ shift
            first = torch.einsum("omyx,miyx->oiyx", first, before)
        self.first = convolution((first, bias))
        self.second = convolution((second, torch.zeros_like(bias)))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[B, first, H, W] and [B, second, H or H / 2, W or W / 2] -> [B, out, H, W]."""
        added = self.second(second)
        if second.shape[-1] != first.shape[-1]:
            added = F.interpolate(added, scale_factor=2.0, mode="nearest")
        return self.first(first) + added


class FoldedFusion(nn.Sequential):
    """A `Fusion` of two maps given apart; arguments as of `PairConvolution`."""

    def __init__(
        self, fusion: Fusion, first_channels: int, lateral: ConvNorm | None = None
    ) -> None:
        mix, *rest = fusion
        assert isinstance(mix, ConvNorm)  # noqa: S101 - for the type checker
        super().__init__(PairConvolution(mix, first_channels, lateral), *rest)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        """As `PairConvolution.forward`."""
        mix, *rest = self
        x = mix(first, second)
        for layer in rest:
            x = layer(x)
        return x


class FoldedNeck(nn.Module):
    """What a `Neck` computes in evaluation mode."""

    def __init__(self, neck: Neck) -> None:
        super().__init__()
        self.pool, self.reduce3, self.reduce4 = neck.pool, neck.reduce3, neck.reduce4
        for name, lateral in (("down3", neck.laterals[0]), ("down4", neck.laterals[1])):
            setattr(self, name, FoldedFusion(getattr(neck, name), neck.channels, lateral))
        for name in ("up4", "up5"):
            setattr(self, name, FoldedFusion(getattr(neck, name), neck.channels))

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """As `Neck.forward`."""
        c3, c4, c5 = maps
        top = self.pool(c5)
        middle = self.down4(c4, top)
        p3 = self.down3(c3, middle)
        p4 = self.up4(self.reduce3(p3), middle)
        return p3, p4, self.up5(self.reduce4(p4), top)
