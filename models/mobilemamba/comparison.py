"""What a report says beside an artifact's own figures: the ablation, the peers, the learning curves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilemamba.ablation import COLUMNS, protocol_line, rows
from mobilemamba.annotations import DatasetError
from mobilemamba.evaluate import Metrics, shown

PEER_COLUMNS = ("detector", "mAP50", "mAP50-95", "mAP50 small", "medium", "large", "trained by")


@dataclass(frozen=True)
class Table:
    """A heading, a sentence, and cells."""

    heading: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def ablation_table(path: Path) -> Table:
    """Of what `mobilemamba ablate` wrote (``ablation.json``).

    Raises:
        DatasetError: it is something else.
    """
    document = _read(path)
    try:
        names = list(dict.fromkeys(run["variant"] for run in document["runs"]))
        return Table("Ablation", protocol_line(document), COLUMNS, tuple(rows(document, names)))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(path, [f"is not what ablate writes: {error!r}"]) from error


def peer_table(own_name: str, own: Metrics, paths: tuple[Path, ...]) -> Table:
    """The artifact's own figures beside those of `benchmarks/detectors` (``result.json``).

    Raises:
        DatasetError: one is something else.
    """
    found = [(own_name, *_figures(vars(own)), "mobilemamba train")]
    notes = set()
    for path in paths:
        document = _read(path)
        try:
            settings = document["settings"]
            name = f"{document['peer']}, seed {settings['seed']}, {settings['epochs']} epochs"
            found.append((name, *_figures(document["metrics"]), str(document["trainer"])))
            notes.add(str(document["checkpoint"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                path, [f"is not what the peers' benchmark writes: {error!r}"]
            ) from error
    note = "One evaluator for all, in ONNX Runtime. Checkpoint of the peers: " + "; ".join(
        sorted(notes)
    )
    return Table("Peers", note, PEER_COLUMNS, tuple(found))


def curves(paths: tuple[Path, ...]) -> dict[str, list[tuple[int, float]]]:
    """mAP50 by epoch from ``metrics.jsonl`` files, named by their folders; those without a measurement are left out.

    Where folders have the same name, so much of their paths is named as tells them apart.

    Raises:
        DatasetError: one is something else.
    """
    found = {}
    for path, name in zip(paths, _distinct_names(paths), strict=True):
        try:
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            points = [(e["epoch"], e["metrics"]["map50"]) for e in lines if e["metrics"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(path, [f"holds no learning curve: {error}"]) from error
        if points:
            found[name] = points
    return found


def _distinct_names(paths: tuple[Path, ...]) -> list[str]:
    whole = [path.resolve() for path in paths]
    for parts in range(1, max((len(path.parts) for path in whole), default=1)):
        names = [Path(*path.parent.parts[-parts:]).as_posix() for path in whole]
        if len(set(names)) == len(set(whole)):
            return names
    return [str(path) for path in whole]  # two files of one folder


def _figures(metrics: dict[str, Any]) -> tuple[str, ...]:
    keys = ("map50", "map50_95", "map50_small", "map50_medium", "map50_large")
    return tuple(shown(metrics[key]) for key in keys)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(path, [f"cannot be read as JSON: {error}"]) from error
    if not isinstance(content, dict):
        raise DatasetError(path, ["is not a JSON object"])
    return content
