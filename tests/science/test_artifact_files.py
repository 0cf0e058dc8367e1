"""Files that commands leave: whole or not at all, and none over another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mobilemamba_command import run

from flawspec.artifact import listed_sha256, read_manifest
from mobilemamba.artifact_files import write_artifact
from mobilemamba.checkpoint import save_checkpoint
from mobilemamba.config import load_config
from mobilemamba.crossval import _write
from mobilemamba.epoch_log import keep_epochs
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
