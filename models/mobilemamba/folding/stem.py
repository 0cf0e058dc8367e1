"""Plain convolutions in a better shape: the stem's, and those with a residual around them."""

from __future__ import annotations

from torch import Tensor, nn

from mobilemamba.folding.convolutions import convolution, filled_up, folded, with_zeros
from mobilemamba.layers import ConvNorm, Residual


def folded_stem(stem: nn.Sequential, input_scale: float) -> nn.Sequential:
    """The stem for pictures not yet multiplied by `input_scale`, channels between its layers filled up."""
    layers: list[nn.Module] = []
    inputs = 1
    for position, layer in enumerate(stem):
        if not isinstance(layer, ConvNorm):
            layers.append(nn.ReLU())
            continue
        kernel, bias = folded(layer)
        inputs = inputs if position else kernel.shape[1]
        last = position == len(stem) - 1
        outputs = len(bias) if last else filled_up(len(bias))
        if not position:
            kernel = kernel * input_scale
        layers.append(convolution(with_zeros((kernel, bias), outputs, inputs), stride=2, padding=1))
        inputs = outputs
    return nn.Sequential(*layers)


def is_residual_depthwise(module: nn.Module) -> bool:
    """Whether it is ``x + depthwise(x)``."""
    if not isinstance(module, Residual) or not isinstance(module.branch, ConvNorm):
        return False
    conv = module.branch[0]
    return conv.groups == conv.in_channels == conv.out_channels and conv.stride == (1, 1)


def folded_residual(residual: Residual) -> nn.Conv2d:
    """``x + depthwise(x)`` as one depthwise convolution: its kernel's centre takes the residual."""
    assert isinstance(residual.branch, ConvNorm)  # noqa: S101 - for the type checker
    kernel, bias = folded(residual.branch)
    return convolution(
        (with_centre(kernel, 1.0), bias), padding=kernel.shape[2] // 2, groups=len(kernel)
    )


def with_centre(kernel: Tensor, change: float) -> Tensor:
    """A depthwise kernel with so much added in its centre: 1 puts a residual in, -1 takes it out."""
    changed = kernel.clone()
    changed[:, :, kernel.shape[2] // 2, kernel.shape[3] // 2] += change
    return changed
