from __future__ import annotations

import pytest
import torch

from mobilemamba.blocks import Mrffi
from mobilemamba.complexity import complexity
from mobilemamba.detector import SIZES, build_detector, nano
from mobilemamba.head import anchor_points
from mobilemamba.layers import FeedForward, Residual
from mobilemamba.wavelet import haar_forward, haar_inverse


def test_haar_transform_is_orthonormal_and_undone_by_its_inverse() -> None:
    x = torch.randn(2, 3, 6, 10, dtype=torch.float64)
    bands = haar_forward(x)
    assert bands.shape == (2, 12, 3, 5)
    assert torch.allclose(bands.square().sum(), x.square().sum())
    assert torch.allclose(haar_inverse(bands), x)


def test_haar_bands_see_what_they_are_named_after() -> None:
    stripes = torch.zeros(1, 1, 4, 4)
    stripes[..., 0::2, :] = 1.0  # changes from row to row only
    low, vertical, horizontal, diagonal = haar_forward(stripes).chunk(4, dim=1)
    assert low.eq(1).all()
    assert vertical.eq(1).all()
    assert horizontal.eq(0).all()
    assert diagonal.eq(0).all()


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 192)])
def test_predictions_cover_every_cell_of_three_levels(height: int, width: int) -> None:
    out = nano(classes=5).eval()(torch.randn(2, 1, height, width))
    points = sum((height // s) * (width // s) for s in (8, 16, 32))
    assert out.class_logits.shape == (2, 5, points)
    assert out.side_logits.shape == (2, 4, 16, points)
    assert out.boxes_xyxy().shape == (2, points, 4)
    assert out.points_xy[0].tolist() == [4.0, 4.0]
    assert out.points_xy[1].tolist() == [12.0, 4.0]  # x runs first
    assert [tuple(f.shape[-2:]) for f in out.features] == [
        (height // s, width // s) for s in (8, 16, 32)
    ]


def test_anchor_points_lie_in_cell_centres() -> None:
    maps = tuple(torch.zeros(1, 1, 2 * n, n) for n in (4, 2, 1))
    points, strides = anchor_points(maps)
    assert strides.tolist() == [8.0] * 32 + [16.0] * 8 + [32.0] * 2
    assert points[-1].tolist() == [16.0, 48.0]


def test_anchor_points_of_wide_pictures_are_not_rounded_by_mixed_precision() -> None:
    network, x = nano(classes=2).eval(), torch.zeros(1, 1, 64, 2048)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = network(x)
    assert found.class_logits.dtype == torch.bfloat16
    found = found.in_float32()
    finest = found.points_xy[found.strides == 8]
    assert finest[:256, 0].tolist() == [8 * column + 4 for column in range(256)]


def test_batch_of_one_equals_batch_of_many() -> None:
    torch.manual_seed(0)
    network = nano(classes=3).eval()
    pictures = torch.randn(3, 1, 64, 64)
    together = network(pictures)
    for i in range(3):
        alone = network(pictures[i : i + 1])
        assert torch.allclose(together.boxes_xyxy()[i], alone.boxes_xyxy()[0], atol=1e-4)
        assert torch.allclose(together.class_logits[i], alone.class_logits[0], atol=1e-5)


def test_nano_keeps_its_promise_of_size() -> None:
    found = complexity(build_detector("nano", classes=6), 256, 256)
    assert found.parameters <= 1_500_000
    assert found.flop <= 0.5e9


def test_sizes_grow_and_take_rectangles() -> None:
    found = [complexity(build_detector(size, classes=7), 128, 448) for size in SIZES]
    assert [c.parameters for c in found] == sorted(c.parameters for c in found)
    assert [c.flop for c in found] == sorted(c.flop for c in found)


def test_unknown_size_is_named() -> None:
    with pytest.raises(ValueError, match="'huge' is unknown; known: nano, small, base"):
        build_detector("huge", classes=2)


def test_a_residual_branch_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 6, 6)
    mixer = Mrffi(8, global_channels=4, local_channels=2, local_kernel=3, heads=2, state_size=2)
    for branch in (FeedForward(8), mixer):
        assert torch.equal(Residual(branch).eval()(x), x)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="8 channels cannot hold"):
        Mrffi(8, global_channels=6, local_channels=4, local_kernel=3, heads=2, state_size=2)
    with pytest.raises(ValueError, match="cannot be shared by 3 heads"):
        Mrffi(8, global_channels=4, local_channels=2, local_kernel=3, heads=3, state_size=2)


def test_every_parameter_takes_part() -> None:
    torch.manual_seed(0)
    network = nano(classes=2).train()
    for module in network.modules():  # wake the branches that start at zero
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    out = network(torch.randn(2, 1, 64, 64))
    (out.boxes_xyxy().sum() + out.class_logits.square().sum()).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(("scan", "wavelet"), [(False, True), (True, False), (False, False)])
def test_parts_can_be_left_out_for_an_ablation(scan: bool, wavelet: bool) -> None:
    torch.manual_seed(0)
    network = build_detector("nano", classes=2, scan=scan, wavelet=wavelet)
    names = [n for n, _ in network.named_parameters()]
    assert any("decay_log" in n for n in names) is scan
    assert any("wavelet" in n for n in names) is wavelet
    assert network(torch.randn(1, 1, 64, 64)).class_logits.shape == (1, 2, 84)
    stand_ins = [m for n, m in network.named_modules() if n.endswith("branch.scan.0")]
    assert all(m.kernel_size == (7, 7) for m in stand_ins)
    assert len(stand_ins) == (0 if scan else 5)
