"""The lines of ``metrics.jsonl``: one JSON object for each finished epoch of a run, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mobilemamba.checkpoint import CheckpointError
from mobilemamba.strict_json import to_json
from mobilemamba.whole_file import write_whole

ANEW = "remove its folder, so that this run is done again"


def append_epoch(path: Path, report: dict[str, Any]) -> None:
    """Add the line of an epoch, its figures to six digits.

    It is to be written before the checkpoint of that epoch: a run that stops between the two does the epoch again,
    while a checkpoint without its line would leave a run that has all its epochs and can never tell of one.

    Raises:
        OSError: it cannot be written; part of a line may be left, which `keep_epochs` takes away.
    """
    with path.open("a", encoding="utf-8") as file:
        file.write(to_json(_rounded(report)) + "\n")


def keep_epochs(path: Path, epochs: int) -> None:
    """Leave the lines of the first `epochs` epochs alone: no later ones, which will be done again, and no half line.

    Raises:
        OSError: the file cannot be read or written; it is then as it was.
    """
    if not path.exists():
        return
    held = path.read_bytes()
    lines = held.splitlines(keepends=True)
    kept = b"".join(line.rstrip() + b"\n" for line in lines if 0 < _epoch(line) <= epochs)
    if kept != held:
        write_whole(path, kept)


def best_epoch(path: Path, epochs: int) -> dict[str, Any]:
    """`epoch` and `metrics` of the one with the highest mAP50, which a release would take, in a run of so many.

    Raises:
        CheckpointError: the file is missing or damaged, or lacks the last epoch.
    """
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        whole = any(line["epoch"] == epochs for line in lines)
        measured = [(float(line["metrics"]["map50"]), line) for line in lines if line["metrics"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no record of a run's epochs ({error}); {ANEW}") from error
    if not whole or not measured:
        raise CheckpointError(f"{path} lacks epoch {epochs}, which the run has done; {ANEW}")
    best = max(measured, key=lambda pair: pair[0])[1]
    return {"epoch": best["epoch"], "metrics": best["metrics"]}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _epoch(line: bytes) -> int:
    """Which one a line tells of, 0 where it is none."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return 0
