"""What training minimises: the detection loss, and where they are asked for the picture's and the contrastive one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.assigner import Targets, TaskAlignedAssigner
from mobilemamba.head import Predictions
from mobilemamba.losses.contrastive import (
    ContrastConfig,
    background_points,
    contrast,
    flaw_points,
    true_boxes,
    wrong_predictions,
)
from mobilemamba.losses.detection import DetectionWeights, detection_loss
from mobilemamba.losses.picture import picture_loss


class Objective(nn.Module):
    """The loss of a batch. Its projection of features is learned in training and belongs to no artifact.

    Args:
        detection: weights of the detection loss.
        contrastive: weights and shape of the contrasts.
        feature_channels: width of the neck's maps.
    """

    def __init__(
        self, detection: DetectionWeights, contrastive: ContrastConfig, feature_channels: int
    ) -> None:
        super().__init__()
        self.detection, self.contrastive = detection, contrastive
        self.assigner = TaskAlignedAssigner()
        self.projection: nn.Module | None = None
        if contrastive.in_use:
            self.projection = nn.Sequential(
                nn.Linear(feature_channels, feature_channels),
                nn.ReLU(),
                nn.Linear(feature_channels, contrastive.channels),
            )

    def forward(
        self, predictions: Predictions, targets: Targets, epochs_done: float
    ) -> dict[str, Tensor]:
        """Scalars by name: `total` is minimised, the others are its unweighted parts."""
        boxes = predictions.boxes_xyxy()
        scores = predictions.class_logits.detach().sigmoid().transpose(1, 2)
        assignment = self.assigner(boxes.detach(), scores, predictions.points_xy, targets)
        loss = detection_loss(predictions, boxes, assignment, self.detection)
        parts = dict(vars(loss))
        if self.detection.picture > 0:
            flawed = targets.present.any(dim=1)
            parts["picture"] = picture_loss(predictions.class_logits, flawed)
            parts["total"] = parts["total"] + self.detection.picture * parts["picture"]
        if self.projection is None:
            return parts
        settings = self.contrastive
        flat = torch.cat([f.flatten(2) for f in predictions.features], dim=2).transpose(1, 2)
        features = F.normalize(self.projection(flat), dim=-1)
        ramp = min(1.0, epochs_done / settings.warmup_epochs) if settings.warmup_epochs > 0 else 1.0
        if settings.background_weight > 0:
            negatives = background_points(
                features, predictions.points_xy, targets, settings.most_negatives
            )
            flaws = flaw_points(features, assignment, targets)
            parts["background"] = contrast(*flaws, negatives, settings)
            parts["total"] = (
                parts["total"] + ramp * settings.background_weight * parts["background"]
            )
        if settings.prediction_weight > 0:
            wrong = wrong_predictions(features, boxes.detach(), scores, targets, settings)
            parts["predictions"] = contrast(
                *true_boxes(features, assignment, targets), wrong, settings
            )
            parts["total"] = (
                parts["total"] + ramp * settings.prediction_weight * parts["predictions"]
            )
        return parts
