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
        scores = torch.cat(
            [_rows(tower(m)) for tower, m in zip(self.class_towers, maps, strict=True)], dim=1
        )
        bins = torch.arange(self.bins, dtype=scores.dtype)[:, None]
        distances = [
            _rows(tower(m)).unflatten(2, (4, self.bins)).softmax(dim=-1) @ bins
            for tower, m in zip(self.side_towers, maps, strict=True)
        ]
        points, strides = anchor_points(maps)
        signs = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=scores.dtype)
        moves = torch.cat(distances, dim=1).squeeze(-1) * (strides[:, None] * signs)
        return points.repeat(1, 2) + moves, torch.sigmoid(scores)


def _rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H * W, C]."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
