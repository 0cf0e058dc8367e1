"""The running average of a network's weights, which is what is measured and released."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

RAMP_STEPS = 500.0  # early weights are poor: the decay rises from 0 over about so many steps


class WeightAverage:
    """Exponential moving average of parameters and buffers.

    Attributes:
        network: the averaged copy, in evaluation mode.
        updates: how often it was updated.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards `network`."""
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / RAMP_STEPS))
        current = network.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])
