"""What a run begins and goes on with: sets with boxes, and a whole checkpoint of the same data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mobilemamba_command import run
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mobilemamba.annotations import DatasetError
from mobilemamba.checkpoint import CheckpointError, read_progress, save_checkpoint
from mobilemamba.config import load_config
from mobilemamba.epoch_log import best_epoch, keep_epochs
from mobilemamba.train import BEST, LAST, METRICS, EpochReport, Observer, Trainer


def trainer(config: Path, folder: Path) -> Trainer:
    return Trainer(load_config(config), folder, torch.device("cpu"))


def begin(config: Path, folder: Path) -> Trainer:
    """A run that was stopped after its first epoch."""

    def stop(report: EpochReport) -> None:
        raise KeyboardInterrupt

    run = trainer(config, folder)
    with pytest.raises(KeyboardInterrupt):
        run.run(Observer(lambda *_: None, stop))
    return run


def spoil(
    checkpoint: Path,
    target: Path,
    change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None],
) -> Path:
    """A copy of `checkpoint` after `change` (of its tensors and its progress, both in place)."""
    tensors = load_file(checkpoint)
    with safe_open(checkpoint, framework="pt") as file:
        metadata = file.metadata()
    progress = json.loads(metadata["progress"])
    change(tensors, progress)
    save_file(tensors, target, metadata | {"progress": json.dumps(progress)})
    return target


def test_a_checkpoint_that_is_not_whole_is_refused_in_a_sentence(
    config_file, tmp_path: Path
) -> None:
    run = begin(config_file(), tmp_path / "run")

    def no_optimizer(tensors, progress) -> None:
        for name in [n for n in tensors if n.startswith("optimizer.")]:
            del tensors[name]

    def part_of_it(tensors, progress) -> None:
        del tensors["optimizer.0.exp_avg"]

    def other_shape(tensors, progress) -> None:
        tensors["optimizer.0.exp_avg"] = torch.zeros(7)

    def unknown_parameter(tensors, progress) -> None:
        tensors["optimizer.99999.exp_avg"] = torch.zeros(7)

    def no_number(tensors, progress) -> None:
        progress["epoch"] = "one"

    def no_data(tensors, progress) -> None:
        progress["data"] = [1]

    for number, (change, message) in enumerate(
        (
            (no_optimizer, r"holds no optimiser state of this network; use another"),
            (part_of_it, "that of parameter 0 is not whole"),
            (other_shape, r"optimizer.0.exp_avg has the shape \(7,\)"),
            (unknown_parameter, "holds no optimiser state of this network"),
            (no_number, r"has a damaged header \(epoch is 'one', not a count\)"),
            (no_data, "has a damaged header"),
        )
    ):
        spoiled = spoil(tmp_path / "run" / LAST, tmp_path / f"{number}.safetensors", change)
        with pytest.raises(CheckpointError, match=message):
            run.resume(spoiled)


def test_a_run_goes_on_with_the_data_it_began_with_alone(config_file, tmp_path: Path) -> None:
    config = config_file()
    begin(config, tmp_path / "run")
    checkpoint = tmp_path / "run" / LAST
    data = read_progress(checkpoint).data
    assert data is not None
    assert [(s.name, s.split, s.pictures) for s in data.sets] == [
        ("squares", "train", 8),
        ("squares", "val", 8),
    ]

    def forget(tensors, progress) -> None:
        del progress["data"]

    former = trainer(config, tmp_path / "run")
    former.resume(spoil(checkpoint, tmp_path / "former.safetensors", forget))
    assert former.progress.data is None, "what is not known stays unknown"

    path = tmp_path / "run-data" / "annotations.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, indent=2))
    trainer(config, tmp_path / "run").resume(checkpoint)  # the same in other words

    content["annotations"][0]["bbox"][2] -= 1
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"trained on other data .*: squares train \(8 pic"):
        trainer(config, tmp_path / "run").resume(checkpoint)
    for category, name in zip(content["categories"], ("bright", "dark"), strict=True):
        category["name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="classes dark, bright, not bright, dark"):
        trainer(config, tmp_path / "run").resume(checkpoint)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("[val]", "the validation set has no boxes, so nothing can be measured on it"),
        ("[[train]]", "no training set has a box to learn from"),
    ],
)
def test_nothing_is_begun_without_boxes(
    section: str, message: str, config_file, tmp_path: Path
) -> None:
    config = config_file()
    path = tmp_path / "run-data" / "annotations.json"
    without = json.loads(path.read_text()) | {"annotations": []}
    (path.parent / "none.json").write_text(json.dumps(without))
    before, after = config.read_text().split(section)
    after = after.replace("/annotations.json", "/none.json", 1)
    config.write_text(section.join((before, after)))
    with pytest.raises(DatasetError, match=message):
        trainer(config, tmp_path / "run")


@pytest.mark.parametrize("command", ["train", "export", "blend"])
def test_a_checkpoint_of_another_run_is_told_of_before_pictures_are_read(
    config_file, tmp_path: Path, monkeypatch, capsys, command: str
) -> None:
    begun = trainer(config_file(), tmp_path / "run")
    (tmp_path / "run").mkdir()
    last = tmp_path / "run" / LAST
    save_checkpoint(last, begun.progress, begun.state)
    other = config_file(name="other", epochs=3)
    shutil.rmtree(tmp_path / "other-data")
    rest = {
        "train": ["--out", last.parent, "--resume"],
        "export": [last, "--out", tmp_path / "out"],
        "blend": [last, last, "--out", tmp_path / "out"],
    }
    assert run(monkeypatch, command, other, *rest[command]) == 2
    assert "not trained as this configuration says" in capsys.readouterr().err


def test_a_checkpoint_can_be_read_by_all_who_can_read_a_file_beside_it(
    config_file, tmp_path: Path
) -> None:
    begun, other = trainer(config_file(), tmp_path), tmp_path / "metrics"
    other.touch()
    save_checkpoint(tmp_path / LAST, begun.progress, begun.state)
    assert (tmp_path / LAST).stat().st_mode == other.stat().st_mode


def test_a_crash_between_metrics_and_checkpoint_loses_no_epoch(
    config_file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def epochs() -> list[int]:
        return [json.loads(line)["epoch"] for line in log.read_text().splitlines()]

    config, log = config_file(), tmp_path / "run" / METRICS
    begin(config, tmp_path / "run")
    seen: list[int] = []
    for target in ("mobilemamba.checkpoint.save", "mobilemamba.epoch_log.to_json"):
        again = trainer(config, tmp_path / "run")
        again.resume(tmp_path / "run" / LAST)
        with monkeypatch.context() as disk:
            disk.setattr(target, full)
            with pytest.raises((OSError, CheckpointError), match="No space left"):
                again.run(Observer(lambda *_: None, lambda report: seen.append(report.epoch)))
        assert read_progress(tmp_path / "run" / LAST).epoch == 1, "its line comes first"
    with log.open("a") as file:
        file.write('{"epoch": 2, "epo')
    again = trainer(config, tmp_path / "run")
    again.resume(tmp_path / "run" / LAST)
    again.run(Observer(lambda *_: None, lambda report: seen.append(report.epoch)))
    assert seen == [2]
    assert epochs() == [1, 2]
    assert not list((tmp_path / "run").glob("*.partial"))


def test_lines_of_epochs_that_will_be_done_again_are_taken_away(tmp_path: Path) -> None:
    log = tmp_path / METRICS
    keep_epochs(log, 3)
    assert not log.exists()
    lines = [json.dumps({"epoch": n, "metrics": {"map50": 1 / n}}) for n in (1, 2, 3)]
    log.write_text("\n".join(lines) + '\n{"epoch": 4')
    keep_epochs(log, 3)
    assert log.read_text().splitlines() == lines
    keep_epochs(log, 2)
    assert log.read_text() == "".join(f"{line}\n" for line in lines[:2])
    assert best_epoch(log, 2) == {"epoch": 1, "metrics": {"map50": 1.0}}
    with pytest.raises(CheckpointError, match="lacks epoch 3, which the run has done; remove its"):
        best_epoch(log, 3)
    for content in ('{"epoch": 1', "[1]", '{"epoch": 1}'):
        log.write_text(content)
        with pytest.raises(CheckpointError, match=r"is no record of a run's epochs .* remove its"):
            best_epoch(log, 1)
    with pytest.raises(CheckpointError, match="is no record"):
        best_epoch(tmp_path / "none.jsonl", 1)


@pytest.mark.parametrize("left", [BEST, METRICS])
def test_a_new_run_writes_over_nothing_of_another(
    left: str, config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    config = config_file()
    (tmp_path / left).touch()
    assert run(monkeypatch, "train", config, "--out", tmp_path) == 2
    assert f"holds {left} of a run, whose {LAST} is gone" in capsys.readouterr().err
