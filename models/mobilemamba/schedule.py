"""Learning rate over a run: linear warm-up, then a half cosine."""

from __future__ import annotations

import math


def learning_rate(
    step: int, total_steps: int, warmup_steps: int, peak: float, final_share: float
) -> float:
    """Rate of step `step` (from 0); rises to `peak` over `warmup_steps`, ends near ``peak * final_share``."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress)))
