"""Muon, and which parameters of a network it is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mobilemamba.checkpoint import CheckpointError, load_checkpoint
from mobilemamba.config import ConfigError, load_config
from mobilemamba.detector import nano
from mobilemamba.losses.contrastive import ContrastConfig
from mobilemamba.losses.detection import DetectionWeights
from mobilemamba.muon import Muon, orthogonal
from mobilemamba.objective import Objective
from mobilemamba.optimizers import Optimizers, optimizers_for
from mobilemamba.train import LAST, Observer, Trainer


def learned(kind: str, contrast: float = 0.1) -> tuple[nn.Module, nn.Module, Optimizers]:
    network = nano(classes=6)
    contrastive = ContrastConfig(background_weight=contrast)
    objective = Objective(DetectionWeights(), contrastive, network.neck.channels)
    return network, objective, optimizers_for(network, objective, kind, 0.01, 0.05)


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16)])
def test_a_step_is_as_large_in_every_direction(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    steep = matrix @ torch.diag(torch.logspace(0, -1, shape[1]))  # some directions weigh tenfold
    before = torch.linalg.svdvals(steep)
    assert before.max() / before.min() > 3
    after = torch.linalg.svdvals(orthogonal(steep))
    assert after.min() > 0.3
    assert after.max() < 1.3


def test_no_gradient_is_no_step() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_what_fades_is_left_out_and_the_rest_is_not_changed_by_it() -> None:
    matrix = torch.randn(8, 12, generator=torch.Generator().manual_seed(4))
    fading = matrix.clone()
    fading[5] = 1e-30
    matrix[5] = 0
    assert torch.equal(orthogonal(fading), orthogonal(matrix))


def test_matrices_move_as_with_the_optimiser_of_pytorch() -> None:
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(12, 20, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = (
        Muon([ours], lr=0.02, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(5):
        ours.grad = torch.randn(12, 20, generator=generator)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    moved = (ours - start).norm()
    assert moved > 0.1
    assert (ours - theirs).norm() < 0.03 * moved  # theirs iterates in bfloat16


def test_a_kernel_moves_as_its_matrix_does_in_either_layout() -> None:
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(6, 4, 3, 3, generator=generator)
    gradient = torch.randn(6, 4, 3, 3, generator=generator)
    kernel = nn.Parameter(start.clone())
    last = nn.Parameter(start.clone(memory_format=torch.channels_last))
    matrix = nn.Parameter(start.flatten(1).clone())
    kernel.grad, last.grad = gradient, gradient.clone(memory_format=torch.channels_last)
    matrix.grad = gradient.flatten(1)
    Muon([kernel, last, matrix], lr=0.1, weight_decay=0.1).step()
    assert torch.allclose(kernel.flatten(1), matrix, atol=1e-6)
    assert torch.allclose(last, kernel, atol=1e-6)
    assert not torch.allclose(kernel, start)


def test_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="a vector of 7 numbers is no matrix"):
        Muon([nn.Parameter(torch.zeros(7))], lr=0.1, weight_decay=0.0)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_parameter_is_learned_by_one_optimiser(kind: str) -> None:
    network, objective, optimizers = learned(kind)
    expected = [*network.parameters(), *objective.parameters()]
    assert sorted(map(id, optimizers.parameters)) == sorted(map(id, expected))
    assert len(optimizers.parts) == (2 if kind == "muon" else 1)


def test_muon_is_given_what_mixes_channels_but_no_answers() -> None:
    network, objective, optimizers = learned("muon")
    names = {id(p): n for m in (network, objective) for n, p in m.named_parameters()}
    muon = optimizers.parts[1]
    given = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    shapes = {n: p.shape for m in (network, objective) for n, p in m.named_parameters()}
    assert {"projection.0.weight", "projection.2.weight", "backbone.stem.2.0.weight"} <= given
    assert "backbone.stem.0.0.weight" not in given, "one grey channel mixes nothing"
    assert not [n for n in given if min(shapes[n][:2]) == 1], "depthwise kernels, scales"
    assert not [n for n in given if not n.endswith(".weight")], "biases and rates of decay"
    last = {f"head.{kind}_towers.{i}.6.weight" for kind in ("class", "side") for i in range(3)}
    assert last <= shapes.keys()
    assert not last & given
    assert sum(shapes[n].numel() for n in given) > 0.9 * sum(s.numel() for s in shapes.values())


def test_an_unknown_optimiser_is_named(config_file) -> None:
    with pytest.raises(ConfigError, match="optimizer must be one of adamw, muon"):
        load_config(config_file('optimizer = "sgd"'))


def test_a_checkpoint_of_the_other_optimiser_is_refused(config_file, tmp_path: Path) -> None:
    def stop(report: object) -> None:
        raise KeyboardInterrupt

    config = load_config(config_file('optimizer = "muon"'))
    run = Trainer(config, tmp_path / "run", torch.device("cpu"))
    with pytest.raises(KeyboardInterrupt):
        run.run(Observer(lambda *_: None, stop))
    tensors = load_file(tmp_path / "run" / LAST)
    assert [n for n in tensors if n.endswith(".momentum")]
    _, _, adamw = learned("adamw", contrast=0.0)
    other = replace(run.state, optimizers=adamw)
    with pytest.raises(CheckpointError, match="holds no optimiser state of this network"):
        load_checkpoint(tmp_path / "run" / LAST, config.sha256, run.data, other)
