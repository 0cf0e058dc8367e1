"""The selective state-space scan of short sequences: its definition, and the form that leaves PyTorch.

For one head with log-decays ``a_t = -exp(decay_log) * step_t`` and ``S = cumsum(a)`` the bidirectional scan is

    y_i = sum_j (C_i . B_j) * exp(-|S_i - S_j|) * step_j * x_j

that is the forward recurrence of Mamba-2 (Dao & Gu 2024, "Transformers are SSMs", the state space
dual form) plus its backward twin, the diagonal counted once (quasi-separable mixing, cf. Hydra,
Hwang et al. 2024). `scan_sequential` walks the recurrences step by step and is the definition;
`scan_matrix` is one matrix product and is what trains and exports. Both take the same tensors, the
sequence axis last:

    values      [..., heads, P, L]   float, P channels a head
    steps       [..., heads, L]      float, > 0 (after softplus)
    decay_log   [heads]              float, log of the decay rate
    input_map   [..., N, L]          float, B of the papers, shared by all heads
    output_map  [..., N, L]          float, C of the papers, shared by all heads
"""

from __future__ import annotations

import torch
from torch import Tensor


def scan_matrix(
    values: Tensor, steps: Tensor, decay_log: Tensor, input_map: Tensor, output_map: Tensor
) -> Tensor:
    """Both directions at once as ``values @ M``; MatMul, CumSum and Exp only, cost O(L^2) a head.

    Returns:
        [..., heads, P, L], dtype of `values`.
    """
    log_decay = steps * -decay_log.exp()[:, None]
    cumulative = log_decay.cumsum(dim=-1)
    # [..., heads, L (j), L (i)]: symmetric, so no mask is needed for the two directions together
    decay = torch.exp(-(cumulative[..., :, None] - cumulative[..., None, :]).abs())
    similarity = input_map.transpose(-1, -2) @ output_map
    mixing = decay * similarity.unsqueeze(-3)
    return (values * steps.unsqueeze(-2)) @ mixing


def scan_sequential(
    values: Tensor, steps: Tensor, decay_log: Tensor, input_map: Tensor, output_map: Tensor
) -> Tensor:
    """The definition: forward recurrence, backward recurrence, minus the diagonal that both counted.

    Returns:
        [..., heads, P, L], dtype of `values`.
    """
    forward = scan_forward(values, steps, decay_log, input_map, output_map)
    backward = scan_backward(values, steps, decay_log, input_map, output_map)
    diagonal = (input_map * output_map).sum(dim=-2)[..., None, None, :]
    return forward + backward - diagonal * steps.unsqueeze(-2) * values


def scan_forward(
    values: Tensor, steps: Tensor, decay_log: Tensor, input_map: Tensor, output_map: Tensor
) -> Tensor:
    """``h_i = exp(a_i) h_{i-1} + step_i B_i x_i;  y_i = C_i . h_i``, one step at a time."""
    log_decay = steps * -decay_log.exp()[:, None]
    state = values.new_zeros((*values.shape[:-1], input_map.shape[-2]))  # [..., heads, P, N]
    outputs = []
    for i in range(values.shape[-1]):
        inflow = (steps[..., i, None] * values[..., i])[..., None] * _at(input_map, i)
        state = torch.exp(log_decay[..., i])[..., None, None] * state + inflow
        outputs.append((state * _at(output_map, i)).sum(dim=-1))
    return torch.stack(outputs, dim=-1)


def scan_backward(
    values: Tensor, steps: Tensor, decay_log: Tensor, input_map: Tensor, output_map: Tensor
) -> Tensor:
    """``h_i = exp(a_{i+1}) h_{i+1} + step_i B_i x_i;  y_i = C_i . h_i``.

    The decay between two places is the same in both directions. A flipped forward kernel would decay
    by another place's step instead, and count the diagonal twice.
    """
    length = values.shape[-1]
    log_decay = steps * -decay_log.exp()[:, None]
    state = values.new_zeros((*values.shape[:-1], input_map.shape[-2]))
    outputs = []
    for i in reversed(range(length)):
        inflow = (steps[..., i, None] * values[..., i])[..., None] * _at(input_map, i)
        if i + 1 < length:
            state = torch.exp(log_decay[..., i + 1])[..., None, None] * state
        state = state + inflow
        outputs.append((state * _at(output_map, i)).sum(dim=-1))
    return torch.stack(outputs[::-1], dim=-1)


def _at(projection: Tensor, i: int) -> Tensor:
    """Column `i` of a [..., N, L] map, shaped [..., 1 (heads), 1 (P), N] to meet the state."""
    return projection[..., i][..., None, None, :]
