"""Detection loss: BCE on class scores, CIoU on boxes, distribution focal loss (DFL) on box sides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mobilemamba.assigner import Assignment
from mobilemamba.geometry import complete_iou
from mobilemamba.head import Predictions


@dataclass(frozen=True)
class DetectionWeights:
    """Weights of the parts; the first three are those of the YOLOv8 family. picture: of `picture_loss`, 0 for none."""

    box: float = 7.5
    classes: float = 0.5
    sides: float = 1.5
    picture: float = 0.0


@dataclass(frozen=True)
class DetectionLoss:
    """Scalars; `total` is the weighted sum of the others, the unweighted parts."""

    total: Tensor
    box: Tensor
    classes: Tensor
    sides: Tensor


def detection_loss(
    predictions: Predictions, boxes_xyxy: Tensor, assignment: Assignment, weights: DetectionWeights
) -> DetectionLoss:
    """Every part is summed and divided by the sum of soft class targets (at least 1).

    Args:
        predictions: of the network.
        boxes_xyxy: [B, A, 4], `predictions.boxes_xyxy()`, passed in because the assigner needed it too.
        assignment: what each point should say.
        weights: of the parts.
    """
    normaliser = assignment.class_scores.sum().clamp(min=1.0)
    class_logits = predictions.class_logits.transpose(1, 2)
    classes = F.binary_cross_entropy_with_logits(
        class_logits, assignment.class_scores, reduction="sum"
    )
    classes = classes / normaliser
    positive = assignment.positive
    weight = assignment.class_scores.sum(dim=-1)[positive]
    overlap = complete_iou(boxes_xyxy[positive], assignment.boxes_xyxy[positive])
    box = ((1 - overlap) * weight).sum() / normaliser
    sides = (_side_loss(predictions, assignment) * weight).sum() / normaliser
    total = weights.box * box + weights.classes * classes + weights.sides * sides
    return DetectionLoss(total, box, classes, sides)


def _side_loss(predictions: Predictions, assignment: Assignment) -> Tensor:
    """[positives]: mean DFL of the four sides."""
    positive = assignment.positive
    points = predictions.points_xy.expand(positive.shape[0], -1, -1)[positive]
    strides = predictions.strides.expand(positive.shape[0], -1)[positive]
    boxes = assignment.boxes_xyxy[positive]
    bins = predictions.side_logits.shape[2]
    distances = torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), dim=-1) / strides[:, None]
    logits = predictions.side_logits.permute(0, 3, 1, 2)[positive]  # [positives, 4, bins]
    return distribution_focal_loss(logits, distances.clamp(0, bins - 1.01)).mean(dim=-1)


def distribution_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with the two bins around a real-valued target, weighted by nearness (Li et al. 2020, eq. 6).

    Args:
        logits: [..., bins].
        target: [...], in 0 .. bins - 1 exclusive.

    Returns:
        [...].
    """
    left = target.floor()
    right_share = target - left
    log_probability = logits.log_softmax(dim=-1)
    at_left = log_probability.gather(-1, left.long()[..., None]).squeeze(-1)
    at_right = log_probability.gather(-1, left.long()[..., None] + 1).squeeze(-1)
    return -(at_left * (1 - right_share) + at_right * right_share)
