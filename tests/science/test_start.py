"""A run that begins with a released artifact: the same function, ready to be trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from mobilemamba_command import run

from flawspec.artifact import read_manifest
from flawspec.labels import LabelSet
from mobilemamba.checkpoint import CheckpointError, save_checkpoint
from mobilemamba.config import InputConfig, ModelConfig, load_config
from mobilemamba.dataset import Sample
from mobilemamba.detector import Detector, build_detector
from mobilemamba.export import check_parity, textured_pictures
from mobilemamba.from_artifact import recalibrate
from mobilemamba.start import start_from
from mobilemamba.train import LAST, Trainer
from mobilemamba.wrapper import ArtifactNetwork, normalise

RELEASED = Path(__file__).parents[2] / "models" / "artifacts" / "mobilemamba-nano-neu-0.3.0.onnx"


def samples(count: int = 12) -> tuple[Sample, ...]:
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    pictures = textured_pictures(count, 64, 128, seed=4)
    return tuple(Sample(str(i), i, p[0], *none) for i, p in enumerate(pictures))


def test_a_released_artifact_starts_a_network_that_says_the_same() -> None:
    manifest = read_manifest(RELEASED)
    network = build_detector("nano", len(manifest.labels.names))
    start_from(RELEASED, network, ModelConfig(), manifest.labels, InputConfig(), samples())
    served = ArtifactNetwork(
        network.eval(), manifest.normalisation_mean, manifest.normalisation_std
    )
    pictures = textured_pictures(8, manifest.input_height_px, manifest.input_width_px, seed=7)
    assert check_parity(served, RELEASED.read_bytes(), pictures) < 1e-4


def test_statistics_fit_the_pictures_and_change_nothing() -> None:
    torch.manual_seed(1)
    network = build_detector("nano", classes=2).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    x = normalise(torch.from_numpy(textured_pictures(24, 64, 128, seed=2)), 0.5, 0.25)
    with torch.no_grad():
        before = network(x).class_logits
        gap = (network.train()(x).class_logits - before).abs().mean()
        network.eval()
        recalibrate(network, x, batch_size=7)
        assert not network.training
        after = network(x).class_logits
        assert torch.allclose(before, after, atol=1e-3 * float(before.abs().max()))
        # with one batch of just these pictures training computes what evaluation does
        trained = (network.train()(x).class_logits - after).abs().mean()
    assert trained < 0.02 * gap


def test_a_run_goes_on_without_its_start(config_file, tmp_path: Path, monkeypatch) -> None:
    config = config_file(epochs=1)
    config.write_text(config.read_text().replace("[model]\n", '[model]\nstart = "$START"\n'))
    monkeypatch.setenv("START", str(RELEASED))
    begun = Trainer(load_config(config), tmp_path, torch.device("cpu"))
    save_checkpoint(tmp_path / LAST, begun.progress, begun.state)
    monkeypatch.delenv("START")
    assert run(monkeypatch, "train", config, "--out", tmp_path, "--resume") == 0


def test_a_run_takes_all_but_the_classes_and_goes_on_at_another_size(
    config_file, tmp_path: Path
) -> None:
    config = config_file()
    config.write_text(config.read_text().replace("[model]\n", f'[model]\nstart = "{RELEASED}"\n'))
    trainer = Trainer(load_config(config), tmp_path / "run", torch.device("cpu"))
    torch.manual_seed(3)
    fresh = build_detector("nano", classes=2).state_dict()
    started = trainer.network.state_dict()
    classes = {f"head.{name}" for name in trainer.network.head.class_layer_names()}
    assert all(started[name].equal(fresh[name]) for name in classes)
    # A scale by channel is [1, C, 1, 1]; where a graph holds it in the kernel beside it, it stays as made.
    kernels = [n for n, v in started.items() if v.ndim == 4 and len(v) > 1 and n not in classes]
    assert not any(started[n].equal(fresh[n]) for n in kernels)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (ModelConfig("small"), InputConfig(), "not hold the network that model.size, model.scan"),
        (
            ModelConfig(scan=False),
            InputConfig(),
            "not hold the network that model.size, model.scan",
        ),
        (ModelConfig(wavelet=False), InputConfig(), "network that .* model.wavelet describe"),
        (ModelConfig(), InputConfig(mean=0.4), "input.mean = 0.5 and input.std = 0.25; use these"),
    ],
    ids=["size", "scan", "wavelet", "normalisation"],
)
def test_an_artifact_that_does_not_fit_is_refused(
    model: ModelConfig, settings: InputConfig, message: str
) -> None:
    labels = read_manifest(RELEASED).labels
    with pytest.raises(CheckpointError, match=message):
        start_from(RELEASED, model.build(len(labels.names)), model, labels, settings, samples())


def test_a_checkpoint_of_another_network_is_refused_and_what_was_taken_is_said(
    config_file, tmp_path: Path
) -> None:
    trainer = Trainer(load_config(config_file()), tmp_path / "run", torch.device("cpu"))
    path = tmp_path / "start.safetensors"
    save_checkpoint(path, trainer.progress, trainer.state)

    def start(names: tuple[str, ...], model: ModelConfig, mean: float = 0.5) -> str:
        network, labels = model.build(len(names)), LabelSet(names)
        return start_from(path, network, model, labels, InputConfig(mean=mean), samples()).sentence

    same = start(("dark", "bright"), ModelConfig())
    assert same == f"starting from {path}: every layer"
    for others in (("bright", "dark"), ("dark", "bright", "third")):
        said = start(others, ModelConfig())
        assert "every layer but those of the classes, which are made anew" in said
    with pytest.raises(CheckpointError, match=r"input\.mean = 0\.5 and input\.std = 0\.25; use"):
        start(("dark", "bright"), ModelConfig(), mean=0.4)
    for model in (ModelConfig("small"), ModelConfig(scan=False), ModelConfig(wavelet=False)):
        with pytest.raises(CheckpointError, match=r"holds another network than model\.size"):
            start(("dark", "bright"), model)


def test_class_layers_of_a_checkpoint_go_by_name_and_not_by_number(
    config_file, tmp_path: Path
) -> None:
    trainer = Trainer(load_config(config_file()), tmp_path / "run", torch.device("cpu"))
    path = tmp_path / "start.safetensors"
    save_checkpoint(path, trainer.progress, trainer.state)
    network = build_detector("nano", classes=2)
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    start_from(path, network, ModelConfig(), LabelSet(("bright", "dark")), InputConfig(), samples())
    started, held = network.state_dict(), trainer.state.average.network.state_dict()
    layers = {f"head.{name}" for name in network.head.class_layer_names()}
    assert all(started[name].equal(fresh[name]) for name in layers)
    assert all(started[name].equal(held[name]) for name in started if name not in layers)


def test_a_checkpoint_of_a_former_release_says_what_it_does_not_know(
    config_file, tmp_path: Path
) -> None:
    trainer = Trainer(load_config(config_file()), tmp_path / "run", torch.device("cpu"))
    path = tmp_path / "start.safetensors"
    former = dataclasses.replace(trainer.progress, data=None, normalisation=None)
    save_checkpoint(path, former, trainer.state)
    network, labels = build_detector("nano", classes=2), LabelSet(("a", "b"))
    said = start_from(path, network, ModelConfig(), labels, InputConfig(), samples())
    assert said.sentence.endswith("does not say of which classes it is: see that they are these")


def test_missing_damaged_and_altered_artifacts_are_refused(tmp_path: Path) -> None:
    labels = read_manifest(RELEASED).labels

    def start(path: Path) -> Detector:
        network = build_detector("nano", 6)
        start_from(path, network, ModelConfig(), labels, InputConfig(), samples())
        return network

    with pytest.raises(CheckpointError, match=r"none\.onnx"):
        start(tmp_path / "none.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(RELEASED.read_bytes()[:9999])
    with pytest.raises(CheckpointError, match="damaged"):
        start(damaged)
    listed = tmp_path / "listed.onnx"
    listed.write_bytes(RELEASED.read_bytes())
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  listed.onnx\n")
    with pytest.raises(CheckpointError, match="sha256"):
        start(listed)
