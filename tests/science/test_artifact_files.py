"""Files that commands leave: whole or not at all, and none over another."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mobilemamba_command import run

from flawspec.artifact import listed_sha256, read_manifest, sha256_file
from mobilemamba.artifact_files import write_artifact
from mobilemamba.checkpoint import save_checkpoint
from mobilemamba.config import load_config
from mobilemamba.crossval import _write
from mobilemamba.dataset import Sample
from mobilemamba.epoch_log import keep_epochs
from mobilemamba.evaluate import Detections
from mobilemamba.export import ExportError
from mobilemamba.out_of_fold import OutOfFold
from mobilemamba.train import Trainer

NEU = Path(__file__).parents[2] / "models/artifacts/mobilemamba-nano-neu-0.3.0.onnx"


def test_a_target_that_exists_is_refused_before_anything_is_computed(
    config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    config, out, manifest = config_file(), tmp_path / "out", read_manifest(NEU)
    model = load_config(config).model
    out.mkdir()
    exported = out / f"{model.name}-{model.version}.onnx"
    quantised = out / f"{manifest.model_name}-int8-{manifest.model_version}.onnx"
    exported.touch()
    quantised.touch()
    for computes in ("release.load_sets", "reexport.to_onnx", "commands.quantising.load_dataset"):
        monkeypatch.setattr(f"mobilemamba.{computes}", None)
    sets = ["--coco", "a.json", "--images", "a"]
    same = ["--version", manifest.model_version, "--out", NEU.parent]
    promise = ["--start", "0.5", "--escape-rate", "0.1", "--out", out, "--version", "1"]
    for command, said in (
        (["export", config, "best", "--out", out], f"{exported} exists and is another artifact"),
        (
            ["quantise", NEU, *sets, "--calibration", "a.json", "--out", out],
            f"{quantised} exists and is another artifact",
        ),
        (["calibrate", NEU, *sets, "--escape-rate", "0.1", *same], "exists and is the source"),
        (["reexport", NEU, *same], "exists and is the source; give another version"),
        (["calibrate", "--out-of-fold", tmp_path / "none", *promise], "--out needs ARTIFACT"),
    ):
        assert run(monkeypatch, *command) == 2
        assert said in capsys.readouterr().err


def test_a_foreign_card_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    artifact, out = tmp_path / NEU.name, tmp_path / "out"
    artifact.write_bytes(NEU.read_bytes())
    for computes in ("reexport.to_onnx", "commands.quantising.load_dataset"):
        monkeypatch.setattr(f"mobilemamba.{computes}", None)
    sets = ["--coco", "a.json", "--images", "a", "--out", out]
    for command in (
        ["reexport", artifact, "--version", "9", "--out", out],
        ["calibrate", artifact, *sets, "--version", "9", "--escape-rate", "0.5"],
        ["quantise", artifact, *sets, "--calibration", "a.json"],
    ):
        artifact.with_suffix(".md").write_bytes(b"# Notes\n")
        assert run(monkeypatch, *command) == 2
        assert "is no card of `mobilemamba export`" in capsys.readouterr().err
        artifact.with_suffix(".md").write_bytes(b"# gr\xf6\xdfe\n")
        assert run(monkeypatch, *command) == 2
        assert "is no text in UTF-8; save it as that" in capsys.readouterr().err
    assert not out.exists()


def test_an_artifact_with_other_thresholds_has_its_card(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    box, first = np.array([[1, 1, 9, 9]], np.float32), np.zeros(1, np.int64)
    samples = [Sample(f"{i}.png", i, np.zeros((0, 0), np.uint8), box, first) for i in range(40)]
    found = Detections(box, np.array([0.9], np.float32), first)
    detections, out = tmp_path / "found.npz", tmp_path / "my out"
    OutOfFold(read_manifest(NEU).labels, samples, [found] * 40).save(detections)
    command = ["calibrate", NEU, "--out-of-fold", detections, "--escape-rate", "0.5"]
    command += ["--out", out, "--version", "9.0"]
    assert run(monkeypatch, *command) == 0
    result = json.loads(capsys.readouterr().out)
    made = Path(result["artifact"]["path"])
    card = made.with_suffix(".md").read_text("utf-8")
    assert card.startswith("# mobilemamba-nano-neu 9.0\n")
    assert f"| sha256 | `{sha256_file(made)}` |" in card
    assert f"| given other thresholds | from `{NEU.name}` (sha256 `{sha256_file(NEU)}`) |" in card
    assert "The detections are those of a cross-validation of an unrecorded configuration" in card
    assert "0 of those with flaws pass" in card
    assert f"| crazing | {result['thresholds']['crazing']:.4f} |" in card
    assert f"\n## Figures of `{NEU.name}` on " in card
    assert f"\nmobilemamba {shlex.join(map(str, command))}\n" in card

    alone = tmp_path / NEU.name
    alone.write_bytes(NEU.read_bytes())
    command[1], command[-1] = alone, "9.1"
    assert run(monkeypatch, *command) == 0
    assert "there was no card beside the artifact to carry over" in capsys.readouterr().err

    (out / "mobilemamba-nano-neu-9.1.onnx").write_bytes(b"what a plant has qualified")
    assert run(monkeypatch, *command) == 2
    printed = capsys.readouterr()
    assert "exists and is another artifact" in printed.err
    assert json.loads(printed.out)["thresholds"] == result["thresholds"], "they are told anyway"


def test_ctrl_c_leaves_no_part_of_a_file(config_file, tmp_path: Path, monkeypatch) -> None:
    trainer = Trainer(load_config(config_file()), tmp_path, torch.device("cpu"))
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    found = OutOfFold(trainer.val.labels, (), ())
    writers: list[Callable[[Path], object]] = [
        lambda path: save_checkpoint(path, trainer.progress, trainer.state),
        lambda path: write_artifact(path, b"content"),
        lambda path: _write(path, {}),
        lambda _: keep_epochs(log, 1),
        found.save,
    ]
    kept = sorted(tmp_path.rglob("*"))

    def stop(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    for write in writers:
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "written")
    assert sorted(tmp_path.rglob("*")) == kept


def test_a_list_of_sums_keeps_what_is_no_utf8_and_is_read_before_anything_is_written(
    tmp_path: Path,
) -> None:
    sums, made = tmp_path / "SHA256SUMS", tmp_path / "made.onnx"
    other = b"ab" * 32 + b"  gr\xf6\xdfe.onnx\n"
    sums.write_bytes(other)
    digest = write_artifact(made, b"content")
    assert sums.read_bytes() == other + f"{digest}  made.onnx\n".encode()

    # as editors on Windows write it
    sums.write_bytes(b"\xef\xbb\xbf" + b"cd" * 32 + b"  made.onnx\r\n")
    assert listed_sha256(made) == "cd" * 32
    write_artifact(made, b"content")
    assert sums.read_bytes() == f"{digest}  made.onnx\n".encode()

    sums.write_text(f"{digest}  made.onnx\n", "utf-16")
    with pytest.raises(ExportError, match="SHA256SUMS is no list of sums as text in UTF-8"):
        write_artifact(tmp_path / "next.onnx", b"other")
    assert not (tmp_path / "next.onnx").exists()
