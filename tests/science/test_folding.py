"""Each rewrite that is exported against the plain module, in double precision, and its way back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mobilemamba.blocks import Mrffi, WaveletBranch
from mobilemamba.detector import build_detector
from mobilemamba.folding import phases
from mobilemamba.folding.convolutions import convolution, folded, with_zeros
from mobilemamba.folding.head import FoldedHead
from mobilemamba.folding.mixer import FoldedMixer
from mobilemamba.folding.neck import FoldedNeck
from mobilemamba.folding.network import FoldedNetwork, PooledExcite, fold
from mobilemamba.folding.scan import SHORT, decay_between
from mobilemamba.folding.stem import (
    folded_residual,
    folded_stem,
    is_residual_depthwise,
    with_centre,
)
from mobilemamba.head import Head
from mobilemamba.layers import ConvNorm, FeedForward, Residual, SqueezeExcite, depthwise
from mobilemamba.neck import Neck
from mobilemamba.wrapper import ArtifactNetwork

EXACT = 1e-12
WIDTHS = (48, 96, 192)


def speaking(module: nn.Module, seed: int = 0) -> nn.Module:
    """In double precision and evaluation mode, every factor and norm away from where it started."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if name.endswith(("factor", "decay_log", "step_bias")):
            nn.init.normal_(parameter, generator=generator)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(part.bias, generator=generator)
            nn.init.normal_(part.running_mean, generator=generator)
            nn.init.uniform_(part.running_var, 0.5, 1.5, generator=generator)
    return module.double().eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_same(ours: Tensor, plain: Tensor) -> None:
    scale = max(1.0, float(plain.detach().abs().max()))
    assert plain.detach().std() > 1e-3, "the comparison would be empty"
    torch.testing.assert_close(ours, plain, rtol=0, atol=EXACT * scale)


@pytest.mark.parametrize("length", [1, 2, 7, SHORT, SHORT + 1, 50])
def test_decay_is_that_of_the_steps_between_two_places(length: int) -> None:
    log_decay = -noise(2, 3, length).abs()
    expected = torch.empty(2, 3, length, length, dtype=torch.float64)
    for i in range(length):
        for j in range(length):
            between = log_decay[..., min(i, j) + 1 : max(i, j) + 1].sum(-1)
            expected[..., i, j] = between.exp()
    torch.testing.assert_close(decay_between(log_decay), expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("parts", [(40, 8, 0, 7), (68, 19, 9, 5), (24, 15, 9, 3)])
@pytest.mark.parametrize("size", [(8, 12), (6, 2 * SHORT + 2), (2, 2)])
def test_a_mixer_is_four_strided_convolutions_and_a_scan(
    parts: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    wide, near, same, kernel = parts
    channels = wide + near + same
    mixer = speaking(Mrffi(channels, wide, near, kernel, heads=4, state_size=3))
    x = noise(2, channels, *size)
    assert_same(FoldedMixer(mixer).double()(x), mixer(x))


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_what_the_phases_hold_is_found_again(kernel: int) -> None:
    mixer = speaking(Mrffi(20, 12, 5, kernel, heads=4, state_size=2))
    made = phases.Phases(mixer, noise(12))
    kernels = torch.stack([place.weight.detach() for place in made.places])
    mix, local = phases.unfolded(kernels, mixer.channel_counts, kernel)
    assert isinstance(mixer.wavelet, WaveletBranch)
    expected = mixer.wavelet.mix.weight * mixer.wavelet.scale.factor.view(-1, 1, 1, 1)
    assert_same(mix, expected)
    assert_same(local, folded(mixer.local)[0])


def test_a_residual_goes_into_the_kernels_centre_and_comes_out_again() -> None:
    residual = speaking(Residual(depthwise(6, 5)))
    made, x = folded_residual(residual), noise(2, 6, 9, 7)
    assert_same(made(x), residual(x))
    assert_same(with_centre(made.weight, -1.0), folded(residual.branch)[0])
    others = Residual(FeedForward(6)), Residual(ConvNorm(6, 6)), Residual(depthwise(6, 3, stride=2))
    assert not any(is_residual_depthwise(other) for other in others)


def test_silent_channels_change_nothing() -> None:
    layer, x = speaking(ConvNorm(5, 7, 3)), noise(2, 5, 6, 6)
    made = convolution(with_zeros(folded(layer), 16, 8), padding=1)
    wider = torch.cat((x, noise(2, 3, 6, 6)), dim=1)
    assert_same(made(wider)[:, :7], layer(x))
    assert not made(wider)[:, 7:].any()


def test_the_stem_takes_over_the_scale_of_the_input() -> None:
    stem = speaking(build_detector("nano", classes=2).backbone.stem)
    x = noise(2, 1, 64, 40)
    made = folded_stem(stem, 0.25)
    assert_same(made(x), stem(0.25 * x))
    assert [layer.out_channels for layer in made if isinstance(layer, nn.Conv2d)] == [16, 32, 48]


def test_a_mean_is_a_pooling() -> None:
    excite, x = speaking(SqueezeExcite(32)), noise(2, 32, 6, 10)
    assert_same(PooledExcite(excite)(x), excite(x))


def test_the_neck_needs_no_concatenation() -> None:
    neck = speaking(Neck(WIDTHS, 16))
    maps = tuple(noise(2, w, 16 // s, 24 // s) for w, s in zip(WIDTHS, (1, 2, 4), strict=True))
    made = FoldedNeck(copy.deepcopy(neck))
    for ours, plain in zip(made(maps), neck(maps), strict=True):
        assert_same(ours, plain)


def test_the_head_decodes_with_channels_last() -> None:
    head = Head(16, classes=3)
    for tower in head.class_towers:
        nn.init.zeros_(tower[-1].bias)
    head = speaking(head)
    maps = tuple(noise(2, 16, 16 // s, 8 // s) for s in (1, 2, 4))
    boxes, scores = FoldedHead(head)(maps)
    plain = head(maps)
    assert_same(boxes, plain.boxes_xyxy())
    assert_same(scores, plain.class_logits.sigmoid().transpose(1, 2))


@pytest.mark.parametrize("parts", [(True, True), (False, True), (True, False)])
def test_a_whole_network_says_the_same_and_stays_as_it_was(parts: tuple[bool, bool]) -> None:
    torch.manual_seed(2)
    network = ArtifactNetwork(build_detector("nano", 3, *parts), mean=0.4, std=0.2).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pictures = torch.randint(0, 256, (3, 1, 64, 128), dtype=torch.uint8)
    with torch.no_grad():
        made = fold(network)
        for ours, plain in zip(made(pictures), network(pictures), strict=True):
            torch.testing.assert_close(ours, plain, rtol=0, atol=1e-3)
    mixers = [m for m in made.modules() if isinstance(m, FoldedMixer)]
    assert len(mixers) == (5 if all(parts) else 0)
    assert isinstance(made, FoldedNetwork)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
