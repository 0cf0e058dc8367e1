"""The exportable scan against the recurrences that define it, in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mobilemamba.blocks import AxialScan
from mobilemamba.scan import scan_backward, scan_forward, scan_matrix, scan_sequential

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
HEADS, WIDTH, STATE = 3, 4, 2


def scan_inputs(length: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    steps = F.softplus(normal(2, HEADS, length))
    return (
        normal(2, HEADS, WIDTH, length),
        steps,
        normal(HEADS),
        normal(2, STATE, length),
        normal(2, STATE, length),
    )


def by_definition(inputs: tuple[Tensor, ...], directions: str) -> Tensor:
    """The sum over all pairs of places, with each decay multiplied up step by step."""
    values, steps, decay_log, input_map, output_map = inputs
    log_decay = -decay_log.exp()[:, None] * steps
    out = torch.zeros_like(values)
    for i in range(values.shape[-1]):
        for j in range(values.shape[-1]):
            if (j < i and directions == "backward") or (j > i and directions == "forward"):
                continue
            between = log_decay[..., min(i, j) + 1 : max(i, j) + 1].sum(-1)
            similarity = (output_map[..., i] * input_map[..., j]).sum(-1)
            weight = similarity[:, None] * between.exp() * steps[..., j]
            out[..., i] += weight[..., None] * values[..., j]
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [1, 2, 7, 33])
def test_matrix_form_equals_the_recurrences(length: int, dtype: torch.dtype) -> None:
    inputs = [t.requires_grad_() for t in scan_inputs(length, dtype)]
    weights = torch.randn(2, HEADS, WIDTH, length, dtype=dtype)
    results = [scan(*inputs) for scan in (scan_matrix, scan_sequential)]
    gradients = [torch.autograd.grad((r * weights).sum(), inputs) for r in results]

    tolerance = TOLERANCE[dtype] * max(1.0, float(results[1].detach().abs().max()))
    assert torch.allclose(results[0], results[1], rtol=0, atol=tolerance)
    for mine, reference in zip(*gradients, strict=True):
        scale = max(1.0, float(reference.abs().max()))
        assert torch.allclose(mine, reference, rtol=0, atol=10 * TOLERANCE[dtype] * scale)


@pytest.mark.parametrize(
    ("scan", "directions"),
    [(scan_forward, "forward"), (scan_backward, "backward"), (scan_sequential, "both")],
)
def test_each_direction_is_the_sum_that_the_docstring_states(scan, directions) -> None:
    inputs = scan_inputs(6, torch.float64)
    assert torch.allclose(scan(*inputs), by_definition(inputs, directions), rtol=0, atol=1e-12)


def test_backward_is_not_the_flipped_forward_kernel() -> None:
    """A flipped kernel decays by a_i .. a_(j-1) instead of a_(i+1) .. a_j: the trap that science has seen."""
    values, steps, decay_log, input_map, output_map = scan_inputs(6, torch.float64)
    flipped = scan_forward(
        values.flip(-1), steps.flip(-1), decay_log, input_map.flip(-1), output_map.flip(-1)
    ).flip(-1)
    ours = scan_backward(values, steps, decay_log, input_map, output_map)
    assert not torch.allclose(flipped, ours, atol=1e-3)
    # with equal steps everywhere the two agree
    even = torch.full_like(steps, 0.3)
    flipped = scan_forward(
        values.flip(-1), even, decay_log, input_map.flip(-1), output_map.flip(-1)
    ).flip(-1)
    assert torch.allclose(flipped, scan_backward(values, even, decay_log, input_map, output_map))


def test_gradients_are_those_of_finite_differences() -> None:
    inputs = tuple(t.requires_grad_() for t in scan_inputs(5, torch.float64))
    assert torch.autograd.gradcheck(scan_matrix, inputs)


@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 4), (6, 1)])
def test_axial_scan_is_rows_then_columns_of_the_definition(height: int, width: int) -> None:
    torch.manual_seed(1)
    channels, heads, state = 6, 2, 3
    axial = AxialScan(channels, heads, state).double().eval()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    sizes = (channels, heads, state, state, heads, state, state)
    values, r_step, r_in, r_out, c_step, c_in, c_out = axial.project(x).split(sizes, dim=1)
    r_step = F.softplus(r_step + axial.step_bias[0, :, None, None])
    c_step = F.softplus(c_step + axial.step_bias[1, :, None, None])
    scanned = values.reshape(2, heads, -1, height, width).clone()
    for y in range(height):
        scanned[..., y, :] = scan_sequential(
            scanned[..., y, :],
            r_step[..., y, :],
            axial.row_decay_log,
            r_in[..., y, :],
            r_out[..., y, :],
        )
    for x_at in range(width):
        scanned[..., x_at] = scan_sequential(
            scanned[..., x_at],
            c_step[..., x_at],
            axial.column_decay_log,
            c_in[..., x_at],
            c_out[..., x_at],
        )
    expected = axial.norm(scanned.reshape(values.shape) + axial.skip(values))
    assert torch.allclose(axial(x), expected, rtol=0, atol=1e-12)
