"""Contrastive auxiliary loss on hard background look-alikes (Huang et al., Sci Rep 16, 5096, 2026).

Features of flaws of one class are pulled together and pushed from negatives. Negatives are not equal: the
share of them that is most like a flaw is "hard" and carries the weight, the easy ones hardly count.
For an anchor i with the other flaws P(i) of its class, unit features z and temperature t:

    l_i = mean over p in P(i) of  -log( e^(z_i.z_p / t) / (e^(z_i.z_p / t) + sum_n w_n e^(z_i.z_n / t)) )

The paper uses it twice: flaws against clean surface, and true boxes against confident predictions that
match no flaw. `flaw_points` with `background_points`, and `true_boxes` with `wrong_predictions`, choose
the features; all are functions of tensors and draw no random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mobilemamba.assigner import Assignment, Targets
from mobilemamba.geometry import overlap


@dataclass(frozen=True)
class ContrastConfig:
    """Weights of the two contrasts and their common shape; a weight of 0 leaves a contrast out.

    Attributes:
        background_weight: of flaws against clean surface.
        prediction_weight: of true boxes against wrong predictions.
        temperature: t above.
        hard_share: 0..1, share of the negatives that is hard.
        easy_weight: w of the others; hard ones have 1.
        warmup_epochs: the weights rise linearly from 0 over so many epochs.
        channels: of the projected features.
        most_negatives: so many are looked at in a batch, evenly spread over it.
        confident_score: from which score on a wrong prediction is one.
        wrong_iou: below which overlap with every true box a prediction is wrong.
    """

    background_weight: float = 0.0
    prediction_weight: float = 0.0
    temperature: float = 0.1
    hard_share: float = 0.2
    easy_weight: float = 0.05
    warmup_epochs: float = 5.0
    channels: int = 64
    most_negatives: int = 2048
    confident_score: float = 0.1
    wrong_iou: float = 0.3

    @property
    def in_use(self) -> bool:
        """Whether any contrast has a weight."""
        return self.background_weight > 0 or self.prediction_weight > 0


def contrast(
    anchors: Tensor, class_ids: Tensor, negatives: Tensor, config: ContrastConfig
) -> Tensor:
    """The loss above, averaged over anchors that have another flaw of their class.

    Args:
        anchors: [M, D] unit features of flaws.
        class_ids: [M] int64.
        negatives: [N, D] unit features.
        config: shape of the loss.

    Returns:
        Scalar, at least 0; exactly 0 (with zero gradients) where there is nothing to compare.
    """
    same = class_ids[:, None] == class_ids[None, :]
    same.fill_diagonal_(False)
    usable = same.any(dim=1)
    if not usable.any() or len(negatives) == 0:
        return (anchors.sum() + negatives.sum()) * 0.0
    anchor, partners = anchors[usable], same[usable]
    to_flaws = anchor @ anchors.T / config.temperature
    to_negatives = anchor @ negatives.T / config.temperature
    weights = negative_weights(anchors, negatives, config.hard_share, config.easy_weight)
    pushed = torch.logsumexp(to_negatives + weights.clamp(min=1e-12).log(), dim=1, keepdim=True)
    losses = torch.logaddexp(to_flaws, pushed) - to_flaws
    return ((losses * partners).sum(dim=1) / partners.sum(dim=1)).mean()


@torch.no_grad()
def negative_weights(
    anchors: Tensor, negatives: Tensor, hard_share: float, easy_weight: float
) -> Tensor:
    """[N]: 1 for the `hard_share` of the negatives most like any anchor, `easy_weight` for the rest."""
    hard = round(hard_share * len(negatives))
    likeness = (negatives @ anchors.T).amax(dim=1)
    weights = torch.full_like(likeness, easy_weight)
    weights[likeness.topk(hard).indices] = 1.0
    return weights


def flaw_points(
    features: Tensor, assignment: Assignment, targets: Targets
) -> tuple[Tensor, Tensor]:
    """Features [M, D] and classes [M] of the points that answer for a flaw; features is [B, A, D]."""
    # The box tells the class: soft targets are all 0 where a predicted box misses the true one.
    return features[assignment.positive], targets.class_ids.flatten()[_slots(assignment, targets)]


def background_points(features: Tensor, points_xy: Tensor, targets: Targets, most: int) -> Tensor:
    """Features [N, D] of points outside every true box, at most `most`, evenly spread over the batch."""
    low, high = targets.boxes_xyxy[:, :, None, :2], targets.boxes_xyxy[:, :, None, 2:]
    inside = ((points_xy >= low) & (points_xy <= high)).all(dim=-1)  # [B, G, A]
    outside = ~(inside & targets.present[..., None]).any(dim=1)
    return _spread(features[outside], most)


def true_boxes(features: Tensor, assignment: Assignment, targets: Targets) -> tuple[Tensor, Tensor]:
    """One unit feature a true box, the mean of its points': [M, D], and its class [M]."""
    slot, slots = _slots(assignment, targets), targets.class_ids.numel()
    sums = features.new_zeros((slots, features.shape[-1]))
    sums = sums.index_add(0, slot, features[assignment.positive])
    seen = torch.zeros(slots, dtype=torch.bool, device=features.device)
    seen[slot] = True
    means = torch.nn.functional.normalize(sums[seen], dim=-1)
    return means, targets.class_ids.flatten()[seen]


def _slots(assignment: Assignment, targets: Targets) -> Tensor:
    """Where the true box of each positive point stands in the flattened targets: [M] int64."""
    batch, most_boxes = targets.class_ids.shape
    rows = torch.arange(batch, device=assignment.box_ids.device)[:, None] * most_boxes
    return (assignment.box_ids + rows)[assignment.positive]


def wrong_predictions(
    features: Tensor, boxes_xyxy: Tensor, scores: Tensor, targets: Targets, config: ContrastConfig
) -> Tensor:
    """Features [N, D] of confident predictions that overlap no true box.

    Args:
        features: [B, A, D].
        boxes_xyxy: [B, A, 4] predicted boxes, input pixels.
        scores: [B, A, classes] in 0..1.
        targets: the ground truth.
        config: from which score, below which overlap, and how many at most.
    """
    confident = scores.amax(dim=-1) >= config.confident_score
    if targets.boxes_xyxy.shape[1]:
        shared, union = overlap(targets.boxes_xyxy[:, :, None], boxes_xyxy[:, None])
        iou = (shared / (union + 1e-7)) * targets.present[..., None]
        confident &= iou.amax(dim=1) < config.wrong_iou
    return _spread(features[confident], config.most_negatives)


def _spread(features: Tensor, most: int) -> Tensor:
    if len(features) <= most:
        return features
    places = torch.arange(most, device=features.device) * len(features) // most
    return features[places]
