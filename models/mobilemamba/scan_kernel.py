"""The scan on a GPU by the kernels of `mamba-ssm` (extra `cuda`), and the choice between it and the matrix form.

`mamba_chunk_scan_combined` walks one direction, ``h_i = exp(A dt_i) h_{i-1} + dt_i B_i x_i``. Our backward direction
decays by the step between two places, as the forward one does (`scan.scan_backward`), so on the flipped
sequence the kernel gets the next place's step for the decay, and values scaled so that what flows in is
unchanged. The diagonal, counted by both, is taken off once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from mobilemamba.scan import scan_matrix

CHUNK = 64  # positions that the kernel handles at a time: our sequences are hardly longer
LEAST_STEP = 1e-8  # decays by nothing that float32 could tell, and may be divided by: a step itself underflows to 0

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""x [B, L, heads, P], dt [B, L, heads], A [heads], B and C [B, L, 1, N], chunk -> [B, L, heads, P]."""


def scan_for(x: Tensor) -> Scan:
    """The kernels where `x` lies on a GPU and `mamba-ssm` is installed, else the matrix form; the same numbers."""
    kernel = find_kernel() if x.is_cuda else None
    return scan_matrix if kernel is None else functools.partial(scan_by_kernel, kernel)


@functools.cache
def find_kernel() -> Kernel | None:
    """The kernel of `mamba-ssm`, None where it is not installed or does not load."""
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except ImportError:
        return None
    kernel: Kernel = mamba_chunk_scan_combined
    return kernel


def scan_by_kernel(
    kernel: Kernel,
    values: Tensor,
    steps: Tensor,
    decay_log: Tensor,
    input_map: Tensor,
    output_map: Tensor,
) -> Tensor:
    """`scan.scan_matrix` by a kernel for one direction; shapes as there."""
    lead, (heads, width, length) = values.shape[:-3], values.shape[-3:]
    x = values.reshape(-1, heads, width, length).permute(0, 3, 1, 2)  # [B, L, heads, P]
    dt = steps.reshape(-1, heads, length).transpose(1, 2)
    inward = input_map.reshape(-1, 1, input_map.shape[-2], length).permute(0, 3, 1, 2)
    outward = output_map.reshape(-1, 1, output_map.shape[-2], length).permute(0, 3, 1, 2)
    rate = -decay_log.exp()
    forward = _walk(kernel, x, dt, rate, inward, outward)
    # the last place decays from nothing: any step will do for it
    following = torch.cat((dt[:, 1:], dt[:, -1:]), dim=1).clamp(min=LEAST_STEP)
    scaled = x * (dt / following).unsqueeze(-1)
    backward = _walk(
        kernel, scaled.flip(1), following.flip(1), rate, inward.flip(1), outward.flip(1)
    )
    diagonal = (inward * outward).sum(dim=-1).unsqueeze(-1) * dt.unsqueeze(-1) * x
    both = forward + backward.flip(1) - diagonal
    return both.permute(0, 2, 3, 1).reshape(*lead, heads, width, length).to(values.dtype)


def _walk(
    kernel: Kernel, x: Tensor, dt: Tensor, rate: Tensor, inward: Tensor, outward: Tensor
) -> Tensor:
    """One call with what the kernel wants: contiguous tensors, those of the products in one dtype."""
    return kernel(
        x.contiguous(),
        dt.contiguous(),
        rate.contiguous(),
        inward.to(x.dtype).contiguous(),
        outward.to(x.dtype).contiguous(),
        CHUNK,
    )
