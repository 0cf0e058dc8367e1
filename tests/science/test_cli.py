"""The command line as a person uses it: train, export, evaluate, info, and every mistake answered in a sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mobilemamba_command import run

from flawspec.artifact import read_manifest, sha256_file
from flawspec.labels import LabelSet
from flawspec.manifest import TrainingData
from mobilemamba.artifact_files import rewrite
from mobilemamba.card import _remake
from mobilemamba.checkpoint import Blend
from mobilemamba.cli import commands
from mobilemamba.config import load_config
from mobilemamba.dataset import Sample, load_dataset
from mobilemamba.evaluate import Detections
from mobilemamba.out_of_fold import OutOfFold
from mobilemamba.release import ReleaseRequest
from mobilemamba.train import LAST

ROOT = Path(__file__).parents[2]


def yolo_of(data: Path) -> Path:
    """The boxes of a COCO data set again, as a folder of YOLO files."""
    content = json.loads((data / "annotations.json").read_text())
    folder = data / "yolo"
    folder.mkdir()
    (folder / "classes.txt").write_text("\n".join(c["name"] for c in content["categories"]))
    for image, box in zip(content["images"], content["annotations"], strict=True):
        (x, y, width, height), side = box["bbox"], image["width"]
        shares = [v / side for v in (x + width / 2, y + height / 2, width, height)]
        line = " ".join(map(str, (box["category_id"], *shares)))
        (folder / image["file_name"]).with_suffix(".txt").write_text(line)
    return folder


class NextDay(datetime):
    """A clock for what is made later."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=1)


def test_a_wrong_folder_is_told_of_before_anything_is_measured(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    commands = "mobilemamba.commands.measuring"
    monkeypatch.setattr(
        f"{commands}.load_dataset", lambda *a: load_dataset(*a) if a[0] is None else None
    )
    monkeypatch.setattr(f"{commands}.evaluate_artifact", lambda *_: pytest.fail("measured"))
    artifact = min((ROOT / "models" / "artifacts").glob("*.onnx"))
    given = ("--coco", tmp_path, "--images", tmp_path, "--clean", tmp_path / "nowhere")
    assert run(monkeypatch, "evaluate", artifact, *given) == 2
    assert "nowhere has 1 fault(s)" in capsys.readouterr().err


@pytest.mark.timeout(600)
def test_from_pictures_to_a_measured_artifact(
    config_file, coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    config = config_file()
    out, artifacts = tmp_path / "run", tmp_path / "artifacts"
    assert run(monkeypatch, "train", config, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "epoch 2/2: total" in printed
    seen = "caution: 8 of 8 validation pictures are trained on as well (0.png, 1.png, 2.png, 3.png, 4.png, ...), so"
    assert seen in printed
    assert run(monkeypatch, "train", config, "--out", out) == 2
    assert "already holds a run; give --resume" in capsys.readouterr().err
    assert run(monkeypatch, "train", config, "--out", out, "--resume") == 0
    assert "has all of its 2 epochs already" in capsys.readouterr().out
    assert run(monkeypatch, "train", config, "--out", tmp_path / "x", "--device", "toaster") == 2
    assert "toaster cannot be used here" in capsys.readouterr().err

    export = ["export", config, out / "best.safetensors", "--out", artifacts]
    text = config.read_text()
    config.write_text(text + "# changed since\n")
    assert run(monkeypatch, *export) == 2
    assert "was not trained as this configuration says" in capsys.readouterr().err
    config.write_text(text)
    annotations = tmp_path / "run-data" / "annotations.json"
    listed = annotations.read_text()
    fewer = json.loads(listed)
    fewer["annotations"].pop()
    annotations.write_text(json.dumps(fewer))
    assert run(monkeypatch, *export) == 2
    assert "was trained on other data than are given now" in capsys.readouterr().err
    assert not artifacts.exists()
    annotations.write_text(listed)
    clean = coco_folder(count=8, seed=9, name="clean") / "images"
    shutil.copy(tmp_path / "run-data" / "images" / "0.png", clean / "flawed.png")  # not counted
    assert run(monkeypatch, *export, "--clean", clean) == 0
    (artifact,) = artifacts.glob("*.onnx")
    assert artifact.name == "mobilemamba-nano-squares-0.1.0.onnx"
    assert artifact.name in (artifacts / "SHA256SUMS").read_text()
    card, sums = artifact.with_suffix(".md").read_text(), (artifacts / "SHA256SUMS").read_text()
    released = artifact.read_bytes()
    monkeypatch.setattr("mobilemamba.commands.training.datetime", NextDay)
    assert run(monkeypatch, *export) == 2
    assert f"{artifact} exists and is another artifact; give another" in capsys.readouterr().err
    assert (artifact.read_bytes(), (artifacts / "SHA256SUMS").read_text()) == (released, sums)
    assert artifact.with_suffix(".md").read_text() == card
    for part in (
        "# mobilemamba-nano-squares 0.1.0",
        "of 8 clean pictures",
        "8 of these 8 pictures were trained on as well",
        "made up",
        "mobilemamba train",
    ):
        assert part in card
    assert f'--coco "{tmp_path}/run-data/annotations.json"' in card
    assert "--clean CLEAN" in card
    capsys.readouterr()

    data = tmp_path / "run-data"
    command = [
        "evaluate",
        artifact,
        "--coco",
        data / "annotations.json",
        "--images",
        data / "images",
    ]
    assert run(monkeypatch, *command, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pictures"] == report["boxes"] == 8
    assert 0 <= report["map50"] <= 1
    assert set(report["ap50"]) == {"dark", "bright"}
    assert run(monkeypatch, *command) == 0
    assert "mAP50" in capsys.readouterr().out
    folder = ["--coco", yolo_of(data), "--images", data / "images"]
    assert run(monkeypatch, "evaluate", artifact, *folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["boxes"] == 8
    assert run(monkeypatch, "report", artifact, *folder, "--out", tmp_path / "page") == 0
    assert "On yolo:" in (tmp_path / "page" / "report.html").read_text()
    assert run(monkeypatch, "calibrate", artifact, *folder, "--escape-rate", "0.5") == 0
    capsys.readouterr()

    assert run(monkeypatch, "info", artifact) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["metrics"]["map50"] == pytest.approx(report["map50"], abs=1e-3)

    promise = [*command, "--escape-rate", "0.5", "--clean", data / "images"]
    promise[0] = "calibrate"
    assert run(monkeypatch, *promise, "--out", artifacts) == 2
    assert "--out and --version belong together" in capsys.readouterr().err
    assert run(monkeypatch, *promise, "--out", artifacts, "--version", "0.1.0") == 2
    assert "give another version" in capsys.readouterr().err
    assert run(monkeypatch, *promise, "--out", artifacts, "--version", "0.1.1") == 0
    printed = capsys.readouterr()
    assert f"caution: {artifact.name} was trained on {data / 'annotations.json'}; " in printed.err
    assert "8 pictures are given again and are counted once" in printed.err
    result = json.loads(printed.out)
    assert (result["defective"], result["clean"]) == (8, 0)
    assert len(result["pictures_sha256"].split()) == 8
    changed = read_manifest(Path(result["artifact"]["path"]))
    assert (
        dict(zip(changed.labels.names, changed.score_thresholds, strict=True))
        == (result["thresholds"])
    )
    assert changed.metrics == read_manifest(artifact).metrics

    thresholds = tmp_path / "thresholds.json"
    thresholds.write_text(json.dumps(result))
    assert run(monkeypatch, *export[:-1], tmp_path / "again", "--thresholds", thresholds) == 0
    card = (tmp_path / "again" / artifact.name).with_suffix(".md").read_text()
    assert "8 of them are among these" in card, "they were chosen on the validation pictures"
    assert f"those of `{artifact.name}` (sha256 `{sha256_file(artifact)[:16]}`)" in card
    assert "8 of the pictures were trained on" in card

    apart = dataclasses.replace(changed, score_thresholds=(0.2, 0.6), model_version="0.1.3")
    without_flaws = load_dataset(None, data / "images", changed.labels)
    learned = TrainingData("squares", "clean", 8, without_flaws.sha256)
    source, _ = rewrite(artifact, dataclasses.replace(apart, training_data=(learned,)), artifacts)
    assert run(monkeypatch, "calibrate", source, *promise[2:]) == 0
    cautions = capsys.readouterr().err
    assert f"was trained on {data / 'images'}; what is promised on these pictures" in cautions
    assert "annotations.json" not in cautions
    out_of_fold = tmp_path / "out-of-fold.npz"
    sources = ["--out-of-fold", out_of_fold, "--start", "0.5", "--escape-rate", "0.5"]
    again = ["calibrate", source, *sources, "--out", artifacts, "--version", "0.1.2"]
    _detections(("dark", "pit")).save(out_of_fold)
    assert run(monkeypatch, *again) == 2
    assert "knows dark, bright, --out-of-fold is of dark, pit" in capsys.readouterr().err
    _detections(("bright", "dark")).save(out_of_fold)
    del again[4:6]  # --start
    assert run(monkeypatch, *again) == 0
    result = json.loads(capsys.readouterr().out)
    changed = read_manifest(Path(result["artifact"]["path"]))
    assert changed.labels.names == ("dark", "bright")
    assert changed.score_thresholds == tuple(result["thresholds"][n] for n in ("dark", "bright"))
    dark, bright = changed.score_thresholds
    assert dark < bright, "as they were apart in the artifact"

    artifact.write_bytes(artifact.read_bytes()[:-1] + b"x")
    assert run(monkeypatch, *command) == 2
    assert "sha256" in capsys.readouterr().err


def _detections(names: tuple[str, ...]) -> OutOfFold:
    """Of 40 pictures with one flaw each, of the first class, found with a score of 0.9."""
    box = np.array([[1, 1, 9, 9]], np.float32)
    first = np.zeros(1, np.int64)
    samples = [Sample(f"{i}.png", i, np.zeros((0, 0), np.uint8), box, first) for i in range(40)]
    found = Detections(box, np.array([0.9], np.float32), first)
    return OutOfFold(LabelSet(names), samples, [found] * 40)


def test_calibrate_takes_no_pictures_beside_detections(tmp_path: Path, monkeypatch, capsys) -> None:
    found = tmp_path / "out-of-fold.npz"
    _detections(("dark", "bright")).save(found)
    sources = ["--out-of-fold", found, "--start", "0.5", "--escape-rate", "0.5"]
    assert run(monkeypatch, "calibrate", *sources) == 0
    assert json.loads(capsys.readouterr().out)["clean"] == 0
    assert run(monkeypatch, "calibrate", *sources, "--clean", tmp_path, "--images", tmp_path) == 2
    assert "--images, --clean cannot go with --out-of-fold" in capsys.readouterr().err
    assert run(monkeypatch, "calibrate", *sources, "--coco", tmp_path / "x.json") == 2
    assert "--coco cannot go with --out-of-fold" in capsys.readouterr().err


def test_info_without_artifact_lists_the_sizes(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "info") == 0
    assert "nano" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.toml", "--out", "x"], "none.toml cannot be read"),
        (["evaluate", "none.onnx", "--coco", "a", "--images", "b"], "none.onnx"),
        (["train"], "Missing argument"),
        (["dance"], "No such command"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(
    arguments, message: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_commands_on_configurations_in_the_page_have_all_that_they_need() -> None:
    page = (ROOT / "models" / "README.md").read_text("utf-8")
    found = [shlex.split(line) for line in re.findall(r"`mobilemamba ([^`]+)`", page)]
    on_configurations = [c for c in found if any(part.startswith("models/configs/") for part in c)]
    assert {name for name, *_ in on_configurations} >= {"ablate", "crossval"}
    for name, *arguments in on_configurations:
        commands.commands[name].make_context(name, arguments)


def test_ctrl_c_ends_with_130(config_file, tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilemamba.train.Trainer.run", interrupt)
    assert run(monkeypatch, "train", config_file(), "--out", tmp_path / "run") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert run(monkeypatch, "crossval", config_file(name="b"), "--out", tmp_path / "folds") == 130
    assert "stopped; the same command again goes on" in capsys.readouterr().err
    monkeypatch.setattr("mobilemamba.commands.measuring.verify", interrupt)
    assert run(monkeypatch, "info", "some.onnx") == 130
    assert capsys.readouterr().err.strip() == "mobilemamba: stopped"


def test_too_little_memory_is_answered_in_a_sentence(
    config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    def fill(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has")

    monkeypatch.setattr("mobilemamba.train.Trainer._losses", fill)
    assert run(monkeypatch, "train", config_file(), "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "too little memory for this: lower training.batch_size" in error
    assert "Tried to allocate 2.00 GiB.)" in error
    assert not (tmp_path / "run" / LAST).exists(), "nothing stands in the way of another attempt"


def test_the_card_names_no_option_that_was_not_given(config_file, tmp_path: Path) -> None:
    config = load_config(config_file())
    val = dataclasses.replace(config.val, annotations="")
    request = ReleaseRequest(
        dataclasses.replace(config, val=val),
        tmp_path / "best",
        tmp_path,
        (),
        datetime.now(timezone.utc),
    )
    manifest = SimpleNamespace(model_name="toy")
    made = SimpleNamespace(
        manifest=manifest,
        clean=8,
        artifact=tmp_path / "toy-0.1.0.onnx",
        progress=SimpleNamespace(blend=None),
    )
    lines = _remake(made, request, Path("toy.toml"))
    assert not any("--clean" in line or "evaluate" in line or '""' in line for line in lines)


def test_the_commands_in_the_card_can_be_pasted_whatever_the_folders_are_called(
    config_file, tmp_path: Path
) -> None:
    config, file = load_config(config_file()), Path("my runs/toy.toml")
    folder, now = Path("plant 2/artifacts"), datetime.now(timezone.utc)
    request = ReleaseRequest(config, tmp_path / "best 1.safetensors", folder, (), now)
    mixed = Blend(0.5, "last 1.safetensors", "an older.onnx", "0" * 64)
    made = SimpleNamespace(
        manifest=SimpleNamespace(model_name="toy"),
        artifact=folder / "toy-0.1.0.onnx",
        progress=SimpleNamespace(blend=mixed),
    )
    lines = [shlex.split(line) for line in _remake(made, request, file)[5:-1]]
    weights = "runs/toy/best 1.safetensors"
    own = ["my runs/toy.toml", "runs/toy/last 1.safetensors", "an older.onnx"]
    assert lines[:3] == [
        ["mobilemamba", "train", "my runs/toy.toml", "--out", "runs/toy"],
        ["mobilemamba", "blend", *own, "--share", "0.5", "--out", weights],
        ["mobilemamba", "export", "my runs/toy.toml", weights, "--out", "plant 2/artifacts"],
    ]
    assert lines[3][:3] == ["mobilemamba", "evaluate", "plant 2/artifacts/toy-0.1.0.onnx"]
