"""The scan over rows and columns, laid out so that whole rows move and few operations are left.

Heads lead and the scanned axis is last everywhere; what goes from rows to columns moves one axis at a time, which
is a plain matrix transposition. Sums of log-decays between all pairs of places of short sequences are one product
with a constant matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.blocks import AxialScan
from mobilemamba.folding.convolutions import convolution, norm_as_scale_shift

SHORT = 32  # the matrix of pairs has the cube of this many entries: 128 KiB


class FoldedScan(nn.Module):
    """What an `AxialScan` gives without the shift of its norm, from a map that holds more channels than it reads.

    Args:
        scan: trained.
        in_channels: of the map; those of the scan come first.
    """

    def __init__(self, scan: AxialScan, in_channels: int) -> None:
        super().__init__()
        self.heads, self.state_size, self.channels = scan.heads, scan.state_size, scan.channels
        scale, self.shift = norm_as_scale_shift(scan.norm)
        h, n, c = scan.heads, scan.state_size, scan.channels
        weight, bias = scan.project.weight.detach(), scan.project.bias.detach()  # type: ignore[union-attr]
        scales = torch.cat((scale, scale.new_ones(len(bias) - c)))
        order = folded_order(scan)
        kernel = (weight * scales[:, None, None, None])[order]
        kernel = F.pad(kernel, (0, 0, 0, 0, 0, in_channels - c))
        self.project = convolution((kernel, (bias * scales)[order]))
        self.step_bias = nn.Parameter(scan.step_bias.detach().reshape(2 * h, 1, 1))
        decay_log = torch.cat((scan.row_decay_log.detach(), scan.column_decay_log.detach()))
        self.rate = nn.Parameter(-decay_log.exp().reshape(2 * h, 1, 1))
        self.skip = nn.Parameter(scan.skip.factor.detach()[0].clone())
        self._sizes = (c, 2 * h, n, n, n, n)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in channels, H, W] -> [B, channels, H, W]."""
        height, width = x.shape[-2:]
        width_a_head = self.channels // self.heads
        values, steps, row_in, row_out, column_in, column_out = self.project(x).split(
            self._sizes, dim=1
        )
        steps = F.softplus(steps + self.step_bias)
        row_step, column_step = steps.split(self.heads, dim=1)
        row_decay, column_decay = (steps * self.rate).split(self.heads, dim=1)
        # [B, heads, P, H, W] -> [B, heads, H, P, W]
        inflow = values.reshape(-1, self.heads, width_a_head, height, width)
        inflow = (inflow * row_step.unsqueeze(2)).transpose(2, 3)
        similarity = row_in.permute(0, 2, 3, 1) @ row_out.transpose(1, 2)  # [B, H, W, W]
        rows = inflow @ (decay_between(row_decay) * similarity.unsqueeze(1))
        # [B, heads, H, P, W] -> [B, heads, P, H, W] -> [B, heads, W, P, H]
        inflow = rows.transpose(2, 3) * column_step.unsqueeze(2)
        inflow = inflow.reshape(-1, self.heads, width_a_head * height, width).transpose(2, 3)
        inflow = inflow.reshape(-1, self.heads, width, width_a_head, height)
        column_in, column_out = _columns(column_in), _columns(column_out)  # [B, W, N, H]
        similarity = column_in.transpose(2, 3) @ column_out
        decay = decay_between(column_decay.transpose(2, 3).flatten(1, 2)).unflatten(
            1, (self.heads, width)
        )
        columns = inflow @ (decay * similarity.unsqueeze(1))
        scanned = columns.reshape(-1, self.heads, width, width_a_head * height).transpose(2, 3)
        return scanned.reshape(-1, self.channels, height, width) + self.skip * values


def _columns(maps: Tensor) -> Tensor:
    """[B, n, H, W] -> [B, W, n, H] as one transposition of a matrix."""
    _, count, height, width = maps.shape
    return maps.flatten(1, 2).transpose(1, 2).reshape(-1, width, count, height)


def folded_order(scan: AxialScan) -> Tensor:
    """Which output of `scan.project` each output of the folded projection is: both kinds of steps come together."""
    places = torch.arange(sum(scan.sizes)).split(scan.sizes)
    values, row_step, row_in, row_out, column_step, column_in, column_out = places
    return torch.cat((values, row_step, column_step, row_in, row_out, column_in, column_out))


def decay_between(log_decay: Tensor) -> Tensor:
    """``exp(-|S_i - S_j|)`` with S the sums along the last axis: [..., L], not positive -> [..., L, L]."""
    length = log_decay.shape[-1]
    place = torch.arange(length)
    if length <= SHORT:
        first, last = torch.minimum(place[:, None], place), torch.maximum(place[:, None], place)
        counted = (place[:, None, None] > first) & (place[:, None, None] <= last)
        between = log_decay @ counted.reshape(length, -1).to(log_decay.dtype)
        return between.exp().unflatten(-1, (length, length))
    sums = log_decay @ (place[:, None] <= place).to(log_decay.dtype)
    return torch.exp(-(sums[..., :, None] - sums[..., None, :]).abs())
