"""Cross-validation, and the detections that thresholds may be chosen from."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from flawspec.artifact import read_manifest
from flawspec.labels import LabelSet
from mobilemamba.ablation import Protocol, ablate
from mobilemamba.annotations import DatasetError
from mobilemamba.artifact_files import rewrite
from mobilemamba.checkpoint import CheckpointError, save_checkpoint
from mobilemamba.cli import main
from mobilemamba.config import load_config
from mobilemamba.crossval import cross_validate, spread_of
from mobilemamba.dataset import Sample
from mobilemamba.evaluate import Detections, Metrics
from mobilemamba.out_of_fold import OutOfFold
from mobilemamba.sets import load_sets
from mobilemamba.train import Observer, Trainer
from mobilemamba.trained_on import pictures_sha256


def metrics(map50: float, pit: float) -> Metrics:
    return Metrics(0.1, map50, math.nan, 0.2, 0.3, {"pit": pit})


def test_spread_over_the_folds_that_have_a_figure() -> None:
    spread = spread_of([metrics(0.5, math.nan), metrics(0.7, 0.25), metrics(0.9, 0.75)])
    assert spread["map50"].mean == pytest.approx(0.7)
    assert spread["map50"].deviation == pytest.approx(0.2)
    assert (spread["ap50/pit"].lowest, spread["ap50/pit"].highest) == (0.25, 0.75)
    assert math.isnan(spread["map50_small"].mean)


def test_detections_are_kept_with_their_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples, found = [], []
    for i, (boxes, hits) in enumerate([(2, 3), (0, 1), (1, 0), (0, 0)]):
        truth = rng.uniform(0, 9, (boxes, 4)).astype(np.float32)
        samples.append(Sample(f"{i}.png", i, np.zeros((4, 4), np.uint8), truth, np.arange(boxes)))
        boxes_xyxy = rng.uniform(0, 9, (hits, 4)).astype(np.float32)
        found.append(Detections(boxes_xyxy, rng.random(hits, np.float32), np.arange(hits)))
    path = tmp_path / "o.npz"
    OutOfFold(LabelSet(("pit", "dent")), samples, found).save(path)
    read = OutOfFold.load(path)
    assert read.labels.names == ("pit", "dent")
    for own, other in zip(samples, read.samples, strict=True):
        assert (own.name, own.boxes_xyxy.tolist()) == (other.name, other.boxes_xyxy.tolist())
        assert own.class_ids.tolist() == other.class_ids.tolist()
    for mine, theirs in zip(found, read.detections, strict=True):
        assert mine.boxes_xyxy.tolist() == theirs.boxes_xyxy.tolist()
        assert mine.scores.tolist() == theirs.scores.tolist()
        assert mine.class_ids.tolist() == theirs.class_ids.tolist()
    copied = dataclasses.replace(read, pictures_sha256=("a", "b", "b", "c"))  # 1 without flaws
    assert [s.name for s in copied.once().samples] == ["0.png", "2.png", "3.png"]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(DatasetError, match="holds no out-of-fold detections"):
        OutOfFold.load(path)
    with pytest.raises(DatasetError, match="holds no out-of-fold detections"):
        OutOfFold.load(tmp_path / "none.npz")
    method = whole.rindex(b"PK\x01\x02") + 10
    stream = whole.index(b"labels.npy") + len("labels.npy") + 20
    encrypted = whole.index(b"PK\x01\x02") + 8
    for place, value in ((method, 99), (stream, 0xFF), (encrypted, 1)):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with pytest.raises(DatasetError, match="holds no out-of-fold detections"):
            OutOfFold.load(path)
    np.save(tmp_path / "other.npy", np.zeros(3))
    with pytest.raises(DatasetError, match="holds no out-of-fold detections"):
        OutOfFold.load(tmp_path / "other.npy")


@pytest.mark.timeout(300)
def test_every_picture_is_measured_once_by_a_network_that_did_not_see_it(
    config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    path = config_file(epochs=1)
    head, rest = path.read_text().split("[val]")
    listed_again = head[head.index("[[train]]") :]
    path.write_text(f"{head}{listed_again}[val]{rest}")
    config = load_config(path)
    seen: list[int] = []

    def observer(number: int) -> Observer:
        return Observer(lambda *_: None, lambda report: seen.append(number))

    out = tmp_path / "folds"
    result = cross_validate(config, 2, out, torch.device("cpu"), observer)
    assert seen == [0, 1]
    assert len(result.folds) == 2
    read = OutOfFold.load(out / "out-of-fold.npz")
    assert sorted(s.name for s in read.samples) == [f"{i}.png" for i in range(8)]
    assert read.config_sha256 == config.sha256
    val = load_sets(config)[-1]
    assert set(read.pictures_sha256) == set(pictures_sha256(val.samples))
    assert json.loads((out / "crossval.json").read_text())["spread"]["map50"]["mean"] >= 0
    again = cross_validate(config, 2, out, torch.device("cpu"), observer)
    assert seen == [0, 1], "what is done is not done again"
    assert again.spread["map50"] == result.spread["map50"]

    with pytest.raises(
        CheckpointError, match=r"fold 1 of 2 .*, not .*fold 1 of 3 .*another folder"
    ):
        cross_validate(config, 3, out, torch.device("cpu"), observer)
    annotations = tmp_path / "run-data" / "annotations.json"
    listed = annotations.read_text()
    fewer = json.loads(listed)
    fewer["annotations"].pop()
    annotations.write_text(json.dumps(fewer))
    with pytest.raises(CheckpointError, match="was trained on other data than are given now"):
        cross_validate(config, 2, out, torch.device("cpu"), observer)
    annotations.write_text(listed)
    assert seen == [0, 1], "nor is anything trained on what a fold is to be measured on"

    def calibrate(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["mobilemamba", "calibrate", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    source = ("--out-of-fold", out / "out-of-fold.npz")
    assert calibrate(*source, "--start", 0.5, "--escape-rate", 0.5) in (0, 2)
    capsys.readouterr()
    for arguments, message in (
        ((*source, "--start", 0.5, "--false-reject-rate", 0.02), "at least 149 are needed"),
        ((*source, "--escape-rate", 0.5), "without ARTIFACT, --start is needed"),
        (("--start", 0.5, "--escape-rate", 0.5), "or --out-of-fold"),
        ((*source, "--start", 0.5), "give one of --escape-rate and --false-reject-rate"),
    ):
        assert calibrate(*arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_folds_that_hold_nothing_are_refused_before_anything_is_trained(
    config_file, tmp_path: Path
) -> None:
    config = load_config(config_file())
    cpu = torch.device("cpu")
    with pytest.raises(DatasetError, match=r"fold \d of 9 holds no picture: there are \d places"):
        cross_validate(config, 9, tmp_path / "a", cpu, lambda number: pytest.fail("trained"))
    images = tmp_path / "run-data" / "images"
    for index in range(1, 8):
        (images / f"{index}.png").write_bytes((images / "0.png").read_bytes())
    with pytest.raises(DatasetError, match=r"there are 1 places .* give fewer --folds"):
        cross_validate(config, 2, tmp_path / "b", cpu, lambda number: pytest.fail("trained"))


def test_a_start_that_was_trained_on_the_pictures_to_measure_on_is_refused(
    config_file, tmp_path: Path
) -> None:
    cpu = torch.device("cpu")
    own, other = load_config(config_file(count=6)), load_config(config_file(name="b", count=4))
    for config in (own, other):
        trainer = Trainer(config, tmp_path, cpu)
        checkpoint = tmp_path / f"{len(trainer.samples)}.safetensors"
        save_checkpoint(checkpoint, trainer.progress, trainer.state)
    released = (
        Path(__file__).parents[2] / "models" / "artifacts" / "mobilemamba-nano-neu-0.3.0.onnx"
    )
    manifest = read_manifest(released)
    learned = dataclasses.replace(manifest.training_data[1], sha256=load_sets(own)[0].sha256)
    data = (manifest.training_data[0], learned)
    changed = dataclasses.replace(manifest, training_data=data, model_version="9.9.9")
    artifact, _ = rewrite(released, changed, tmp_path / "artifacts")

    def begin(start: Path) -> None:
        config = dataclasses.replace(own, model=dataclasses.replace(own.model, start=str(start)))
        cross_validate(config, 2, tmp_path / "folds", cpu, lambda number: pytest.fail("begun"))

    for start in (tmp_path / "6.safetensors", artifact):
        with pytest.raises(
            CheckpointError, match=rf"{start.name} was trained on squares train, so"
        ):
            begin(start)
    with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist"):
        begin(tmp_path / "none.safetensors")
    assert not (tmp_path / "folds").exists()
    for start in (tmp_path / "4.safetensors", released):
        with pytest.raises(pytest.fail.Exception, match="begun"):
            begin(start)


def test_what_has_begun_needs_its_start_no_more(config_file, tmp_path: Path) -> None:
    cpu, begun = torch.device("cpu"), []
    start = tmp_path / "start.safetensors"
    trainer = Trainer(load_config(config_file(name="b", count=4)), tmp_path, cpu)
    save_checkpoint(start, trainer.progress, trainer.state)
    config = load_config(config_file(count=6, epochs=1))
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, start=str(start)))

    def observer(*run: object) -> Observer:
        begun.append(run)
        return Observer(lambda *_: None, lambda _: None)

    def both() -> None:
        cross_validate(config, 2, tmp_path / "folds", cpu, observer)
        ablate(config, Protocol((1,)), ("no contrast",), tmp_path / "a", cpu, observer)

    both()
    start.unlink()
    both()
    assert begun == [(0,), (1,), ("no contrast", 1)] * 2
    (tmp_path / "folds" / "fold-2" / "last.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"start\.safetensors does not exist"):
        both()
