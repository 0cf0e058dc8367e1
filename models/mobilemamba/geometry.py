"""Box geometry on tensors, differentiable. Boxes are [..., 4] as (x_min, y_min, x_max, y_max) in pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-7


def overlap(a_xyxy: Tensor, b_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union areas of boxes that broadcast against one another."""
    low = torch.maximum(a_xyxy[..., :2], b_xyxy[..., :2])
    high = torch.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    intersection = (high - low).clamp(min=0).prod(dim=-1)
    area_a = (a_xyxy[..., 2:] - a_xyxy[..., :2]).clamp(min=0).prod(dim=-1)
    area_b = (b_xyxy[..., 2:] - b_xyxy[..., :2]).clamp(min=0).prod(dim=-1)
    return intersection, area_a + area_b - intersection


def complete_iou(predicted_xyxy: Tensor, target_xyxy: Tensor) -> Tensor:
    """CIoU (Zheng et al. 2020) of boxes that broadcast: IoU less centre distance and aspect terms; -1.5 .. 1."""
    intersection, union = overlap(predicted_xyxy, target_xyxy)
    iou = intersection / (union + EPSILON)
    hull_low = torch.minimum(predicted_xyxy[..., :2], target_xyxy[..., :2])
    hull_high = torch.maximum(predicted_xyxy[..., 2:], target_xyxy[..., 2:])
    diagonal = (hull_high - hull_low).square().sum(dim=-1) + EPSILON
    offset = (
        predicted_xyxy[..., :2]
        + predicted_xyxy[..., 2:]
        - target_xyxy[..., :2]
        - target_xyxy[..., 2:]
    ) / 2
    distance = offset.square().sum(dim=-1)
    aspect = 4 / math.pi**2 * (_angle(target_xyxy) - _angle(predicted_xyxy)).square()
    with torch.no_grad():  # the paper treats the trade-off as a constant
        weight = aspect / (1 - iou + aspect + EPSILON)
    return iou - distance / diagonal - weight * aspect


def _angle(boxes_xyxy: Tensor) -> Tensor:
    width, height = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).unbind(dim=-1)
    return torch.atan(width / (height + EPSILON))
