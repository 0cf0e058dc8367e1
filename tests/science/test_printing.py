"""What a person names is printed as it is: brackets in paths and classes are no markup."""

from __future__ import annotations

import os
import subprocess
import sys
from math import nan
from pathlib import Path
from types import SimpleNamespace

import pytest
from mobilemamba_command import run
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from mobilemamba.commands.measuring import _print_report
from mobilemamba.commands.quantising import _print
from mobilemamba.crossval import Spread
from mobilemamba.evaluate import Metrics
from mobilemamba.export import textured_pictures
from mobilemamba.measured import ArtifactReport
from mobilemamba.operating_point import OperatingPoint
from mobilemamba.progress import TrainingDisplay
from mobilemamba.train import EpochReport

SHOW_CURSOR = "\x1b[?25h"
METRICS = Metrics(0.5, 0.5, 0.5, 0.5, 0.5, {"pit [b]": 0.5})


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


def terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm") -> None:
    """What is printed is taken for a terminal of this kind, wherever the test runs."""
    for name in ("TTY_INTERACTIVE", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", kind)


def test_crossval_prints_its_folder_and_its_classes(
    config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    spread = {"ap50/pit [b]": Spread(0.5, 0.1, 0.4, 0.6), "large": Spread(0.5, nan, 0.5, 0.5)}
    result = SimpleNamespace(spread=spread)
    monkeypatch.setattr("mobilemamba.commands.thresholds.cross_validate", lambda *_: result)
    out = tmp_path / "cv[b]"
    assert run(monkeypatch, "crossval", config_file(), "--out", out, "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert f"`calibrate --out-of-fold`: {out / 'out-of-fold.npz'}\n" in said
    assert "ap50/pit [b]" in said
    assert " – " in said, "of one fold there is no deviation"
    assert "nan" not in said


def test_evaluate_prints_a_dash_for_what_there_is_not(capsys) -> None:
    none = Metrics(nan, nan, nan, nan, nan, {"pit": nan})
    _print_report(ArtifactReport(none, []), [("pit", 0, OperatingPoint(0.5, 1.0, nan))])
    said = capsys.readouterr().out
    assert "mAP50 –   mAP50-95 –   mAP50 small –" in said
    assert "nan" not in said


def test_quantise_prints_the_set_that_it_measures_on(capsys) -> None:
    trial = SimpleNamespace(recipe="all", convolutions=3, metrics=METRICS, lost=0.0, speed=1.5)
    _print([trial], Path("val[b].json"))
    assert "mAP50 on val[b].json" in capsys.readouterr().out


def test_evaluate_prints_its_classes(capsys) -> None:
    point = OperatingPoint(0.5, 0.5, 0.5)
    _print_report(ArtifactReport(METRICS, []), [("pit [b]", 3, point)])
    assert "pit [b]" in capsys.readouterr().out


def test_an_epoch_is_one_line_in_a_log_file(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    losses = {"total": 13.474, "box": 0.625, "classes": 9.184, "sides": 2.796}
    said = EpochReport(1, 2, losses, 0.001, 10.0, METRICS)
    TrainingDisplay(Console(), 2).observer().on_epoch(said)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epoch 1/2: total 13.474")
    assert line.endswith("mAP50 0.5000, mAP50-95 0.5000")


@pytest.mark.parametrize("command", ["crossval", "ablate"])
def test_the_bar_moves_in_each_of_several_runs_and_is_gone_between_them(
    config_file, tmp_path: Path, monkeypatch, capsys, command: str
) -> None:
    seen = []

    def two_runs(*given: object) -> None:
        begin = next(a for a in given if callable(a))
        for place in range(2):
            watcher = begin(place) if command == "crossval" else begin("no contrast", place)
            seen.append(capsys.readouterr().out)
            watcher.on_step(1, 3, 7, 0.5)
            watcher.on_epoch(EpochReport(2, 2, {"total": 0.5}, 0.001, 10.0, METRICS))
            seen.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    terminal(monkeypatch)
    parts = {"crossval": "thresholds.cross_validate", "ablate": "ablating.run_ablation"}
    monkeypatch.setattr(f"mobilemamba.commands.{parts[command]}", two_runs)
    assert (
        run(monkeypatch, command, config_file(), "--out", tmp_path / "r", "--device", "cpu") == 130
    )
    for before, within in zip(seen[::2], seen[1::2], strict=True):
        assert "3/7" not in before
        assert "3/7" in within
        assert SHOW_CURSOR in within.split("3/7")[-1]


def test_the_bar_of_an_epoch_knows_nothing_of_the_one_before(monkeypatch, capsys) -> None:
    terminal(monkeypatch)
    with TrainingDisplay(Console(), 1) as display:
        for _ in range(2):
            watcher = display.observer()
            watcher.on_step(0, 1, 7, 0.5)
            first = capsys.readouterr().out
            assert "1/7" in first
            assert "7/7" not in first
            assert "0:00:00" not in first, "six are left"
            watcher.on_step(0, 7, 7, 0.5)
            watcher.on_epoch(EpochReport(1, 1, {"total": 0.5}, 0.001, 10.0, METRICS))
            capsys.readouterr()


@pytest.mark.parametrize("kind", ["a file", "dumb"])
def test_where_no_bar_can_move_there_are_only_the_lines(monkeypatch, capsys, kind: str) -> None:
    if kind == "dumb":
        terminal(monkeypatch, kind)
    with monkeypatch.context() as patch, TrainingDisplay(Console(), 1) as display:
        patch.setattr(Progress, "stop", lambda bar: bar.console.print())  # as rich 13.7 does
        display.observer().on_step(0, 7, 7, 0.5)
        display.observer().on_epoch(EpochReport(1, 1, {"total": 0.5}, 0.001, 10.0, METRICS))
    (line,) = capsys.readouterr().out.splitlines()
    assert "epoch 1/1" in Text.from_ansi(line).plain


def test_a_folder_whose_name_is_no_text_ends_nothing(tmp_path: Path) -> None:
    images, labels, out = tmp_path / "images", tmp_path / "labels", tmp_path / "gr\udcf6\udcdfe"
    for folder in (images, labels):
        folder.mkdir()
    (labels / "classes.txt").write_text("pit\n")
    for i, picture in enumerate(textured_pictures(6, 64, 64, seed=1)):
        Image.fromarray(picture[0]).save(images / f"{i}.png")
        (labels / f"{i}.txt").write_text("0 .5 .5 .2 .2\n")
    shares = ("--shares", "0.4", "0.3", "0.3")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mobilemamba",
            "split",
            labels,
            "--images",
            images,
            "--out",
            out,
            *shares,
        ],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "gr\\udcf6\\udcdfe" in done.stdout
    assert len(list(out.iterdir())) == 4
