"""Muon: momentum whose every step is made orthogonal (K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

The gradients of a kernel lie mostly along a few directions, and gradient descent learns those alone for long. Here all
directions of a kernel's step are nearly as large as one another, so that each is learned at much the same pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

MOMENTUM = 0.95
ITERATION = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration, from the source: after five rounds singular values lie within some 0.7 to 1.2."""
ROUNDS = 5
STEP_RMS = 0.2
"""Root mean square of a step at rate 1. AdamW's is about as much: one rate does for both (Liu et al. 2025, arXiv
2502.16982)."""
SMALLEST_NORM = 1e-7
NEGLIGIBLE = 1e-8
"""Beside a norm of 1. The momentum of a channel that died fades for ever, into products so small that a processor takes
a hundred times as long for each."""


class Muon(Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for kernels of convolutions and linear layers.

    A kernel [out, in, height, width] is taken as the matrix [out, in * height * width]. Norms, biases, depthwise
    kernels and the layers that say the network's answer belong to another optimiser.

    Args:
        parameters: of two or more dimensions.
        lr: the rate; the step has the root mean square of AdamW's at that rate.
        weight_decay: share of a weight that is taken off it at rate 1.

    Raises:
        ValueError: a parameter is a vector.
    """

    MOMENTS = ("momentum",)

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim < 2:
                    raise ValueError(f"a vector of {parameter.numel()} numbers is no matrix")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Move each parameter that has a gradient; `closure`, where given, computes these anew and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"], group["weight_decay"])
        return loss

    def _move(self, parameter: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
        step = orthogonal(matrix).view_as(parameter)
        parameter.mul_(1 - rate * decay)
        parameter.add_(step, alpha=-rate * STEP_RMS * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix [M, N] with its singular values brought near 1; a matrix of zeros stays one."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide = F.hardshrink(wide / wide.norm().clamp(min=SMALLEST_NORM), NEGLIGIBLE)
    first, third, fifth = ITERATION
    for _ in range(ROUNDS):
        gram = wide @ wide.T
        wide = first * wide + (third * gram + fifth * gram @ gram) @ wide
    return wide.T.contiguous() if tall else wide
