"""The head with channels last, so that nothing but its small results is moved."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mobilemamba.head import Head, anchor_points


class FoldedHead(nn.Module):
    """What a `Head` says, decoded: boxes and scores."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.bins = head.bins
        self.class_towers, self.side_towers = head.class_towers, head.side_towers

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The neck's three maps -> boxes_xyxy [B, A, 4] in input pixels, scores [B, A, classes] in 0..1."""
        scores = torch.sigmoid(_rows(self.class_towers, maps))
        sides = _rows(self.side_towers, maps).unflatten(2, (4, self.bins)).softmax(dim=-1)
        bins = torch.arange(self.bins, dtype=sides.dtype)
        distances = (sides @ bins[:, None]).squeeze(-1)
        points, strides = anchor_points(maps)
        signs = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=sides.dtype)
        return points.repeat(1, 2) + distances * (strides[:, None] * signs), scores


def _rows(towers: nn.ModuleList, maps: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """[B, A, channels] of all levels."""
    found = [
        tower(m).permute(0, 2, 3, 1).flatten(1, 2) for tower, m in zip(towers, maps, strict=True)
    ]
    return torch.cat(found, dim=1)
