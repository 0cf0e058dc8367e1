"""The GPU's way through the scan, with stand-ins for the kernel: our own recurrence, and mamba-ssm's reference."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import Tensor

from mobilemamba.scan import scan_forward, scan_matrix, scan_sequential
from mobilemamba.scan_kernel import CHUNK, find_kernel, scan_by_kernel, scan_for

HEADS, WIDTH, STATES = 2, 3, 4


def inputs(length: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    make = torch.Generator().manual_seed(seed)
    shape = (2, 5)  # the batch, and the rows beside it

    def normal(*size: int) -> Tensor:
        return torch.randn(*shape, *size, length, generator=make, dtype=dtype)

    steps = torch.nn.functional.softplus(normal(HEADS))
    decay_log = torch.tensor([0.0, 1.0], dtype=dtype)
    return normal(HEADS, WIDTH), steps, decay_log, normal(STATES), normal(STATES)


def recurrence(x: Tensor, dt: Tensor, rate: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    """The kernel's contract by our own forward recurrence."""
    y = scan_forward(
        x.permute(0, 2, 3, 1),
        dt.transpose(1, 2),
        (-rate).log(),
        B[:, :, 0].transpose(1, 2),
        C[:, :, 0].transpose(1, 2),
    )
    return y.permute(0, 3, 1, 2)


@pytest.mark.parametrize("length", [1, 2, 7, 80])
def test_two_walks_of_a_one_way_kernel_are_the_bidirectional_scan(length: int) -> None:
    given = inputs(length, seed=length)
    found = scan_by_kernel(recurrence, *given)
    assert found.shape == given[0].shape
    assert torch.allclose(found, scan_sequential(*given), atol=1e-10)
    assert torch.allclose(found, scan_matrix(*given), atol=1e-10)


def test_gradients_flow_as_through_the_matrix() -> None:
    one = [t.requires_grad_() for t in inputs(6, seed=1)]
    other = [t.detach().clone().requires_grad_() for t in one]
    scan_by_kernel(recurrence, *one).square().sum().backward()
    scan_matrix(*other).square().sum().backward()
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-8)


@pytest.mark.parametrize("before_softplus", [-30.0, -95.0, -110.0])  # the last gives 0 in float32
def test_a_step_that_underflows_is_as_in_the_matrix(before_softplus: float) -> None:
    values, steps, *rest = inputs(8, seed=2, dtype=torch.float32)
    steps[..., 4] = torch.nn.functional.softplus(torch.tensor(before_softplus))
    one = [t.clone().requires_grad_() for t in (values, steps, *rest)]
    other = [t.clone().requires_grad_() for t in (values, steps, *rest)]
    found, wanted = scan_by_kernel(recurrence, *one), scan_matrix(*other)
    assert torch.allclose(found, wanted, atol=1e-4)
    found.square().sum().backward()
    wanted.square().sum().backward()
    assert all(t.grad.isfinite().all() for t in one)
    assert torch.allclose(one[0].grad, other[0].grad, rtol=1e-3, atol=1e-3)


def test_on_the_cpu_the_matrix_is_chosen() -> None:
    assert scan_for(torch.zeros(1)) is scan_matrix


@pytest.mark.parametrize("length", [CHUNK, 2 * CHUNK])  # its reference takes whole chunks
def test_against_the_reference_of_mamba_ssm(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton is not installed (extra `cuda`)")
    # its package imports its CUDA extension; the references do not call it
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", types.ModuleType("selective_scan_cuda"))
    ssd = pytest.importorskip(
        "mamba_ssm.ops.triton.ssd_combined", reason="mamba-ssm is not installed (extra `cuda`)"
    )
    given = inputs(length, seed=3, dtype=torch.float32)
    found = scan_by_kernel(ssd.ssd_chunk_scan_combined_ref, *given)
    assert torch.allclose(found, scan_sequential(*given), atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 5e-2)])
def test_against_the_kernels_on_a_gpu(dtype: torch.dtype, tolerance: float) -> None:
    kernel = find_kernel()
    if kernel is None:
        pytest.skip("mamba-ssm is not installed (extra `cuda`)")
    given = [t.cuda().to(dtype) for t in inputs(80, seed=4, dtype=torch.float32)]
    exact = scan_matrix(*(t.double() for t in given))
    found = scan_by_kernel(kernel, *given).double()
    assert (found - exact).abs().max() / exact.abs().max() < tolerance
