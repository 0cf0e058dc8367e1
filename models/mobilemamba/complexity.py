"""How large a network is: parameters, and floating-point operations for one picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from mobilemamba.detector import Detector


@dataclass(frozen=True)
class Complexity:
    """`flop` counts a multiplication and an addition as two, in convolutions and matrix products."""

    parameters: int
    flop: int


def complexity(detector: Detector, height_px: int, width_px: int) -> Complexity:
    """Of one picture of the given input size."""
    counter = FlopCounterMode(display=False)
    was_training = detector.training
    detector.eval()
    with torch.no_grad(), counter:
        detector(torch.zeros(1, 1, height_px, width_px))
    detector.train(was_training)
    return Complexity(sum(p.numel() for p in detector.parameters()), counter.get_total_flops())
