"""Variants of one run over seeds, and the table they end in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from mobilemamba.ablation import Protocol, ablate, spread, variants
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.config import load_config
from mobilemamba.train import Observer

CPU = torch.device("cpu")
RELEASED = Path(__file__).parents[2] / "models" / "artifacts" / "mobilemamba-nano-neu-0.3.0.onnx"


def test_each_variant_changes_what_it_is_named_after(config_file) -> None:
    config = load_config(config_file())
    found = variants(config, 0.3)
    weights = {
        name: (run.contrast.background_weight, run.contrast.prediction_weight)
        for name, run in found.items()
    }
    assert weights["no contrast"] == (0, 0)
    assert weights["contrast 1 (background)"] == (0.3, 0)
    assert weights["contrast 2 (wrong predictions)"] == (0, 0.3)
    assert weights["both contrasts"] == (0.3, 0.3)
    parts = {name: (run.model.scan, run.model.wavelet) for name, run in found.items()}
    assert [name for name, part in parts.items() if part == (False, True)] == [
        "no contrast, scan replaced by 7x7 depthwise"
    ]
    assert [name for name, part in parts.items() if part == (True, False)] == [
        "no contrast, wavelet branch off"
    ]


@pytest.mark.timeout(300)
def test_runs_are_done_once_and_go_on_where_they_were_cut(config_file, tmp_path: Path) -> None:
    config = load_config(config_file(count=4))
    names = ("no contrast", "no contrast, wavelet branch off")
    seen: list[tuple[str, int, int]] = []
    cut_after = [1]

    def observer(name: str, seed: int) -> Observer:
        def epoch_done(report) -> None:
            seen.append((name, seed, report.epoch))
            if len(seen) == cut_after[0]:
                raise KeyboardInterrupt

        return Observer(lambda *_: None, epoch_done)

    protocol = Protocol(seeds=(1,), epochs=2)
    with pytest.raises(KeyboardInterrupt):
        ablate(config, protocol, names, tmp_path / "a", CPU, observer)
    cut_after[0] = -1
    path = ablate(config, protocol, names, tmp_path / "a", CPU, observer)
    assert seen == [(name, 1, epoch) for name in names for epoch in (1, 2)]
    ablate(config, protocol, names[1:], tmp_path / "a", CPU, observer)
    assert len(seen) == 4, "nothing is run again"
    document = json.loads((tmp_path / "a" / "ablation.json").read_text())
    assert [run["variant"] for run in document["runs"]] == list(names), "also of an earlier call"
    text = path.read_text()
    assert "2 epochs, seeds 1," in text
    assert all(f"| {name} | 1 | " in text for name in names)
    described = tmp_path / "a" / "no-contrast-seed-1" / "run.json"
    run = json.loads(described.read_text())
    assert (run["seed"], run["training"]["epochs"]) == (1, 2)

    with pytest.raises(CheckpointError, match="was not trained as this configuration says"):
        ablate(config, Protocol((1,), 3), names, tmp_path / "a", CPU, observer)
    assert json.loads(described.read_text()) == run, "it tells of the run that lies beside it"
    assert json.loads((tmp_path / "a" / "ablation.json").read_text()) == document
    (described.parent / "metrics.jsonl").unlink()
    with pytest.raises(
        CheckpointError, match=r"is no record of a run's epochs .* remove its folder"
    ):
        ablate(config, protocol, names[1:], tmp_path / "a", CPU, observer)

    annotations = tmp_path / "run-data" / "annotations.json"
    fewer = json.loads(annotations.read_text())
    fewer["annotations"].pop()
    annotations.write_text(json.dumps(fewer))
    with pytest.raises(CheckpointError, match="was trained on other data than are given now"):
        ablate(config, protocol, names, tmp_path / "a", CPU, observer)


def test_a_variant_that_cannot_begin_is_told_of_before_any_is_trained(
    config_file, tmp_path: Path
) -> None:
    config = load_config(config_file(count=4))
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, start=str(RELEASED))
    )
    names = ("no contrast", "no contrast, wavelet branch off")
    with pytest.raises(
        CheckpointError, match=r"'no contrast, wavelet branch off' cannot begin: .*--v"
    ):
        ablate(config, Protocol((1,)), names, tmp_path / "a", CPU, lambda *_: pytest.fail("begun"))
    assert not (tmp_path / "a").exists()


def test_spread_is_mean_and_deviation() -> None:
    assert spread([0.5, 0.7]) == "0.600 ± 0.141"
    assert spread([0.5, float("nan")]) == "0.500"
    assert spread([float("nan")]) == "–"
