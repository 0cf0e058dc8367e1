"""The decoupled anchor-free head: class scores, and box sides as distributions (DFL, Li et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mobilemamba.layers import ConvNorm, depthwise

STRIDES = (8, 16, 32)
BINS = 16  # values of a side distance, 0 .. 15 strides
REACH_PX = 2 * (BINS - 1) * STRIDES[-1]  # the longest box that can be said


@dataclass(frozen=True)
class Predictions:
    """What the network says of a batch; A = anchor points of all levels, finest first, row by row.

    Attributes:
        side_logits: [B, 4, bins, A], logits of the distance to the left, top, right, bottom side in strides.
        class_logits: [B, classes, A], before the sigmoid.
        points_xy: [A, 2], anchor points in input pixels.
        strides: [A], in pixels.
        features: the neck's maps [B, width, H / s, W / s] for s = 8, 16, 32.
    """

    side_logits: Tensor
    class_logits: Tensor
    points_xy: Tensor
    strides: Tensor
    features: tuple[Tensor, Tensor, Tensor]

    def boxes_xyxy(self) -> Tensor:
        """[B, A, 4] boxes in input pixels: the expected side distances around each anchor point."""
        bins = torch.arange(
            self.side_logits.shape[2], device=self.side_logits.device, dtype=self.side_logits.dtype
        )
        expected = (self.side_logits.softmax(dim=2) * bins[:, None]).sum(dim=2)  # [B, 4, A]
        distances = expected.transpose(1, 2) * self.strides[:, None]
        return torch.cat(
            (self.points_xy - distances[..., :2], self.points_xy + distances[..., 2:]), -1
        )

    def in_float32(self) -> Predictions:
        """The same, for losses, where the network computed in less."""
        return replace(
            self,
            side_logits=self.side_logits.float(),
            class_logits=self.class_logits.float(),
            points_xy=self.points_xy.float(),
            strides=self.strides.float(),
            features=tuple(f.float() for f in self.features),
        )


def anchor_points(maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Centres of the cells of each level: float32 [A, 2] in input pixels (x, y), and [A] strides.

    Float32 whatever the maps are: bfloat16 has 8 bits, too few for the centres beyond 1024 px.
    """
    points, strides = [], []
    for feature, stride in zip(maps, STRIDES, strict=True):
        height, width = feature.shape[-2:]
        ys = (torch.arange(height, device=feature.device) + 0.5) * stride
        xs = (torch.arange(width, device=feature.device) + 0.5) * stride
        grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
        points.append(torch.stack((grid_x.flatten(), grid_y.flatten()), dim=-1))
        strides.append(torch.full((height * width,), float(stride), device=feature.device))
    return torch.cat(points).to(torch.float32), torch.cat(strides).to(torch.float32)


class Head(nn.Module):
    """Two towers a level, one for classes and one for box sides.

    Args:
        channels: the neck's width.
        classes: number of classes.
        bins: values of a side distance, 0 .. bins - 1 strides.
    """

    def __init__(self, channels: int, classes: int, bins: int = BINS) -> None:
        super().__init__()
        self.bins = bins
        self.class_towers = nn.ModuleList(_tower(channels, classes) for _ in STRIDES)
        self.side_towers = nn.ModuleList(_tower(channels, 4 * bins) for _ in STRIDES)
        for stride, classify, measure in zip(
            STRIDES, self.class_towers, self.side_towers, strict=True
        ):
            # about five objects among the cells of a 640 px picture at the start (the usual prior of YOLO-family heads)
            nn.init.constant_(classify[-1].bias, math.log(5 / classes / (640 / stride) ** 2))
            nn.init.constant_(measure[-1].bias, 1.0)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> Predictions:
        """The neck's three maps -> `Predictions`."""
        classes = [tower(m).flatten(2) for tower, m in zip(self.class_towers, maps, strict=True)]
        sides = [tower(m).flatten(2) for tower, m in zip(self.side_towers, maps, strict=True)]
        points, strides = anchor_points(maps)
        side_logits = torch.cat(sides, dim=2).unflatten(1, (4, self.bins))
        return Predictions(side_logits, torch.cat(classes, dim=2), points, strides, maps)

    def last_layers(self) -> list[nn.Conv2d]:
        """What says the answer itself, of each tower."""
        return [tower[-1] for tower in (*self.class_towers, *self.side_towers)]  # type: ignore[index]

    def class_layer_names(self) -> tuple[str, ...]:
        """Names, in this module's state dict, of what depends on which classes there are."""
        last = len(self.class_towers[0]) - 1  # type: ignore[arg-type]
        return tuple(
            f"class_towers.{level}.{last}.{part}"
            for level in range(len(self.class_towers))
            for part in ("weight", "bias")
        )


def _tower(channels: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [depthwise(channels, 5), ConvNorm(channels, channels), nn.SiLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, 1))
