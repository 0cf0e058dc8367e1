"""Long work says how far it has come, on standard error; short work says nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from mobilemamba_command import run

from mobilemamba.watching import WorkLines, watched


def test_a_line_comes_at_times() -> None:
    said: list[str] = []
    lines = WorkLines(said.append, itertools.count(step=2.0).__next__)
    for total in (3, 45):  # begins anew where the first ended, after 4 s
        assert list(watched(iter("x" * total), total, "reading a", lines)) == ["x"] * total
    assert said == [
        "reading a: 4 of 45, some 2 min to go",
        "reading a: 19 of 45, some 1 min to go",
        "reading a: 34 of 45, some 1 min to go",
    ]


@pytest.mark.timeout(300)
def test_commands_tell_of_what_takes_long(
    config_file, coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    def told(*command: object) -> list[str]:
        assert run(monkeypatch, *command) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if " min to go" in line]
        return list(dict.fromkeys(line.partition(": ")[0] for line in lines))

    config, folder = config_file(epochs=1), coco_folder(count=5)
    annotations, images = folder / "annotations.json", folder / "images"
    cut = ("split", annotations, "--images", images)
    assert told(*cut) == []
    monkeypatch.setattr("mobilemamba.watching.FIRST_S", 0.0)
    monkeypatch.setattr("mobilemamba.watching.EVERY_S", 0.0)
    comparing = ["shrinking pictures to compare them", "comparing pairs of pictures"]
    assert told(*cut) == [f"reading the pictures of {annotations}", *comparing]
    reading = f"reading the pictures of {tmp_path / 'run-data' / 'annotations.json'}"
    digests = [f"taking the digest of squares {part}" for part in ("train", "val")]
    run_folder = tmp_path / "run"
    assert told("train", config, "--out", run_folder, "--device", "cpu") == [reading, *digests]
    crossval = told("crossval", config, "--folds", 2, "--out", tmp_path / "cv", "--device", "cpu")
    assert crossval[:3] == [reading, *comparing]
