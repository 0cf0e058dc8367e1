"""Convolutions with their norms folded in, their channels filled up with zeros."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.layers import ConvNorm

CHANNEL_BLOCK = (
    16  # channels in a vector of ONNX Runtime's CPU kernels; other counts are copied around
)

KernelBias: TypeAlias = tuple[Tensor, Tensor]
"""Kernel [out, in / groups, kh, kw] and bias [out] of a convolution."""


def folded(layer: ConvNorm) -> KernelBias:
    """What a `ConvNorm` computes in evaluation mode, as one convolution."""
    conv, norm = layer[0], layer[1]
    scale, shift = norm_as_scale_shift(norm)
    return conv.weight.detach() * scale[:, None, None, None], shift


def norm_as_scale_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """``norm(x) == scale * x + shift`` in evaluation mode; both [C]."""
    assert norm.running_var is not None  # noqa: S101 - for the type checker
    assert norm.running_mean is not None  # noqa: S101
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias.detach() - norm.running_mean * scale


def filled_up(count: int) -> int:
    """The next multiple of `CHANNEL_BLOCK`."""
    return -(-count // CHANNEL_BLOCK) * CHANNEL_BLOCK


def with_zeros(kernel_bias: KernelBias, outputs: int, inputs: int) -> KernelBias:
    """The same with silent output channels and unheard input channels, at the end."""
    kernel, bias = kernel_bias
    more_out, more_in = outputs - kernel.shape[0], inputs - kernel.shape[1]
    return F.pad(kernel, (0, 0, 0, 0, 0, more_in, 0, more_out)), F.pad(bias, (0, more_out))


def convolution(
    kernel_bias: KernelBias, stride: int = 1, padding: int = 0, groups: int = 1
) -> nn.Conv2d:
    """A module that holds them."""
    kernel, bias = kernel_bias
    made = nn.Conv2d(
        kernel.shape[1] * groups,
        kernel.shape[0],
        (kernel.shape[2], kernel.shape[3]),
        stride,
        padding,
        groups=groups,
        dtype=kernel.dtype,
    )
    with torch.no_grad():
        made.weight.copy_(kernel)
        made.bias.copy_(bias)  # type: ignore[union-attr]
    return made
