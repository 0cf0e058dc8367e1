"""Whether a picture has any flaw: what a verdict asks, and what no loss of single points is about."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

BORDER_LOGIT = -2.0
"""A score of 0.12, about where the thresholds of an artifact lie."""
# So that a picture well on its side of the border hardly counts: how high its scores should be is for the boxes to say.
_STEEPNESS = 2.0


def picture_loss(class_logits: Tensor, flawed: Tensor) -> Tensor:
    """Binary cross-entropy of each picture's highest score with whether it is flawed: a scalar, the mean of a batch.

    Args:
        class_logits: [B, classes, A].
        flawed: [B] bool.
    """
    highest = class_logits.flatten(1).amax(dim=1)
    aim = flawed.to(highest.dtype)
    return F.binary_cross_entropy_with_logits(_STEEPNESS * (highest - BORDER_LOGIT), aim)
