"""Which prediction answers for which box: task-aligned assignment (Feng et al., TOOD, ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mobilemamba.geometry import complete_iou


@dataclass(frozen=True)
class Targets:
    """Padded ground truth of a batch; G = most boxes in one picture.

    Attributes:
        boxes_xyxy: [B, G, 4] in input pixels.
        class_ids: [B, G] int64.
        present: [B, G] bool, False where a row is padding.
    """

    boxes_xyxy: Tensor
    class_ids: Tensor
    present: Tensor

    def to(self, device: torch.device) -> Targets:
        """The same on `device`."""
        return Targets(
            self.boxes_xyxy.to(device), self.class_ids.to(device), self.present.to(device)
        )


@dataclass(frozen=True)
class Assignment:
    """What each anchor point should say; A = anchor points.

    Attributes:
        boxes_xyxy: [B, A, 4], meaningful where `positive`.
        class_scores: [B, A, classes] in 0..1, the soft class target, 0 for background.
        box_ids: [B, A] int64, row of the box in `Targets`, meaningful where `positive`.
        positive: [B, A] bool.
    """

    boxes_xyxy: Tensor
    class_scores: Tensor
    box_ids: Tensor
    positive: Tensor


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """A box takes the `top_k` points inside it with the best score^alpha * IoU^beta; a point serves one box.

    A box thinner than the finest stride would hold no point at all; it is widened to that stride for the test "inside".
    Points on its edge do not count: one whose centre lies exactly between two points of that stride still holds none.
    """

    top_k: int = 10
    alpha: float = 0.5
    beta: float = 6.0
    smallest_side_px: float = 8.0

    @torch.no_grad()
    def __call__(
        self, boxes_xyxy: Tensor, scores: Tensor, points_xy: Tensor, targets: Targets
    ) -> Assignment:
        """Assign.

        Args:
            boxes_xyxy: [B, A, 4] predicted boxes, input pixels.
            scores: [B, A, classes] predicted scores in 0..1.
            points_xy: [A, 2] anchor points, input pixels.
            targets: the ground truth.
        """
        batch, points, classes = scores.shape
        if targets.boxes_xyxy.shape[1] == 0:
            none = scores.new_zeros((batch, points), dtype=torch.int64)
            return Assignment(
                torch.zeros_like(boxes_xyxy), torch.zeros_like(scores), none, none.bool()
            )
        inside = self._inside(points_xy, targets)  # [B, G, A]
        iou = (
            complete_iou(targets.boxes_xyxy[:, :, None], boxes_xyxy[:, None]).clamp(min=0) * inside
        )
        class_score = scores.transpose(1, 2).gather(
            1, targets.class_ids[..., None].expand(-1, -1, points)
        )
        alignment = class_score.pow(self.alpha) * iou.pow(self.beta) * inside
        chosen = self._best(alignment, inside)
        # a point wanted by several boxes serves the one that it overlaps most
        wanted_by = chosen.sum(dim=1)
        best_box = (iou * chosen).argmax(dim=1)
        sole = torch.zeros_like(chosen).scatter_(1, best_box[:, None], 1.0)
        chosen = torch.where((wanted_by > 1)[:, None], sole * chosen, chosen)
        box_ids = chosen.argmax(dim=1)
        positive = chosen.sum(dim=1) > 0
        # soft target: alignment, scaled so that a box's best point aims at that box's best IoU
        alignment = alignment * chosen
        best = alignment.amax(dim=2, keepdim=True).clamp(min=torch.finfo(alignment.dtype).tiny)
        scale = (iou * chosen).amax(dim=2, keepdim=True) / best
        strength = (alignment * scale).amax(dim=1)  # [B, A]
        class_ids = targets.class_ids.gather(1, box_ids)
        one_hot = torch.nn.functional.one_hot(class_ids, classes).to(scores.dtype)
        boxes = targets.boxes_xyxy.gather(1, box_ids[..., None].expand(-1, -1, 4))
        return Assignment(boxes, one_hot * (strength * positive)[..., None], box_ids, positive)

    def _inside(self, points_xy: Tensor, targets: Targets) -> Tensor:
        """[B, G, A] float, 1 where the point lies in the (widened) box."""
        low, high = targets.boxes_xyxy[..., :2], targets.boxes_xyxy[..., 2:]
        grow = ((self.smallest_side_px - (high - low)) / 2).clamp(min=0)
        after = points_xy - (low - grow)[:, :, None]
        before = (high + grow)[:, :, None] - points_xy
        inside = torch.cat((after, before), dim=-1).amin(dim=-1) > 0
        return (inside & targets.present[..., None]).to(points_xy.dtype)

    def _best(self, alignment: Tensor, inside: Tensor) -> Tensor:
        """[B, G, A] float, 1 for the `top_k` points of each box."""
        count = min(self.top_k, alignment.shape[-1])
        # among points without any overlap yet, any inside point is better than none
        ranking = alignment + 1e-9 * inside
        value, index = ranking.topk(count, dim=-1)
        return torch.zeros_like(alignment).scatter_(-1, index, (value > 0).to(alignment.dtype))
