"""The depthwise parts of a mixer as four strided convolutions, one for each place in a 2x2 block of pixels.

The wavelet branch is linear and looks at 2x2 blocks: split into sub-bands, filter each, put together again. What comes
out at one of the four places of a block is therefore one depthwise convolution of stride 2 over the picture. The
local convolution and the channels that pass unchanged fit into the same kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilemamba.blocks import Mrffi, WaveletBranch
from mobilemamba.folding.convolutions import convolution, folded

PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))  # row and column in a block
HAAR_REACH = 2  # pixels before a block that a 3x3 kernel over half-size maps sees
# 0.5 * HAAR[band, row, column]: analysis and synthesis alike, in the order of `haar_forward`
HAAR = torch.tensor([[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]])


class Phases(nn.Module):
    """[B, C, H, W] -> the wavelet branch on the first channels, the local convolution on the next, the rest unchanged.

    Args:
        mixer: with a wavelet branch.
        shift: [global channels], added to what the wavelet branch gives.
    """

    def __init__(self, mixer: Mrffi, shift: Tensor) -> None:
        super().__init__()
        wide, near, same = mixer.channel_counts
        assert mixer.wavelet is not None  # noqa: S101 - the caller has looked
        local, local_shift = folded(mixer.local)
        reach = max(HAAR_REACH, local.shape[-1] // 2)
        size = 2 * reach + 2
        self.channels = wide + near + same
        kernels = local.new_zeros(len(PLACES), self.channels, 1, size, size)
        kernels[:, :wide, 0] = _placed(wavelet_kernels(mixer.wavelet), reach)
        for place, (row, column) in enumerate(PLACES):
            top, left = reach - local.shape[-1] // 2 + row, reach - local.shape[-1] // 2 + column
            kernels[
                place,
                wide : wide + near,
                :,
                top : top + local.shape[-2],
                left : left + local.shape[-1],
            ] = local
            kernels[place, wide + near :, 0, reach + row, reach + column] = 1.0
        bias = torch.cat((shift, local_shift, shift.new_zeros(same)))
        self.places = nn.ModuleList(
            convolution((kernel, bias), stride=2, padding=reach, groups=self.channels)
            for kernel in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        height, width = x.shape[-2:]
        blocks = torch.cat([place(x) for place in self.places], dim=1).permute(0, 2, 3, 1)
        # [B, h, w, 2 (row), 2 (column) * C] -> [B, h, 2, w, 2 * C]: whole rows of channels move
        rows = blocks.reshape(-1, height // 2, width // 2, 2, 2 * self.channels).transpose(2, 3)
        return rows.reshape(-1, height, width, self.channels).permute(0, 3, 1, 2)


def wavelet_kernels(branch: WaveletBranch) -> Tensor:
    """[4 (place), channels, 6, 6]: what the branch gives at each place of a block, 2 pixels around it seen."""
    haar = 0.5 * HAAR.to(branch.mix.weight.dtype)
    scale = branch.scale.factor.detach().view(4, -1, 1, 1)
    mix = branch.mix.weight.detach()
    mix = scale * mix.view(4, -1, *mix.shape[-2:])
    bands = torch.einsum("bcyx,bij->bcyixj", mix, haar).reshape(*mix.shape[:2], 6, 6)
    return torch.einsum("bcyx,bp->pcyx", bands, haar.flatten(1))


def _placed(kernels: Tensor, reach: int) -> Tensor:
    margin = reach - HAAR_REACH
    return F.pad(kernels, (margin,) * 4)


def unfolded(
    kernels: Tensor, channel_counts: tuple[int, int, int], local_kernel: int
) -> tuple[Tensor, Tensor]:
    """Undo `Phases`.

    Args:
        kernels: [4 (place), C, 1, size, size].
        channel_counts: of the wavelet branch, of the local convolution, of the rest.
        local_kernel: side of the local convolution's kernel.

    Returns:
        The branch's kernels multiplied by its scale [4 * wide, 1, 3, 3], the local kernel [near, 1, side, side].
    """
    wide, near, _ = channel_counts
    reach = (kernels.shape[-1] - 2) // 2
    margin, start = reach - HAAR_REACH, reach - local_kernel // 2
    haar = 0.5 * HAAR.to(kernels.dtype)
    inner = kernels[:, :wide, 0, margin : margin + 6, margin : margin + 6]
    bands = torch.einsum("pcyx,bp->bcyx", inner, haar.flatten(1)).reshape(4, wide, 3, 2, 3, 2)
    mix = torch.einsum("bcyixj,bij->bcyx", bands, haar)  # the transform is orthonormal
    local = kernels[0, wide : wide + near]
    local = local[..., start : start + local_kernel, start : start + local_kernel]
    return mix.reshape(-1, 1, 3, 3), local
