"""The same run with one part changed at a time, over several seeds: what each part is worth."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mobilemamba.cautions import cautions
from mobilemamba.checkpoint import CheckpointError, read_progress
from mobilemamba.config import RunConfig
from mobilemamba.dataset import Dataset
from mobilemamba.epoch_log import best_epoch
from mobilemamba.sets import load_sets
from mobilemamba.strict_json import to_json
from mobilemamba.train import LAST, METRICS, Observer, Trainer
from mobilemamba.trained_on import TrainedOn
from mobilemamba.watching import Watch, unwatched
from mobilemamba.whole_file import write_whole

RUN, RESULT, TABLE = "run.json", "ablation.json", "ablation.md"
FIGURES = ("map50", "map50_95", "map50_small", "map50_medium", "map50_large")
COLUMNS = ("variant", "runs", "mAP50", "mAP50-95", "mAP50 small", "medium", "large")


@dataclass(frozen=True)
class Protocol:
    """What all runs of an ablation share; a smaller one than a release's is fine if the table says so.

    Attributes:
        seeds: of the runs of each variant.
        epochs: of each run; None for the configuration's.
        contrast_weight: of each contrast where it is on.
    """

    seeds: tuple[int, ...]
    epochs: int | None = None
    contrast_weight: float = 0.25


def variants(config: RunConfig, weight: float) -> dict[str, RunConfig]:
    """By name; all but the last two have both branches of the global part."""

    def contrast(background: float, prediction: float) -> RunConfig:
        changed = dataclasses.replace(
            config.contrast, background_weight=background, prediction_weight=prediction
        )
        return dataclasses.replace(config, contrast=changed)

    plain = contrast(0.0, 0.0)
    return {
        "no contrast": plain,
        "contrast 1 (background)": contrast(weight, 0.0),
        "contrast 2 (wrong predictions)": contrast(0.0, weight),
        "both contrasts": contrast(weight, weight),
        "no contrast, scan replaced by 7x7 depthwise": dataclasses.replace(
            plain, model=dataclasses.replace(config.model, scan=False)
        ),
        "no contrast, wavelet branch off": dataclasses.replace(
            plain, model=dataclasses.replace(config.model, wavelet=False)
        ),
    }


def ablate(
    config: RunConfig,
    protocol: Protocol,
    names: Sequence[str],
    folder: Path,
    device: torch.device,
    observer: Callable[[str, int], Observer],
    watch: Watch = unwatched,
) -> Path:
    """Run what is not yet done, seed by seed, and write JSON and a table; returns the table's path.

    The table is written after every run, of all that is done in `folder`, whichever variants a call named. Each run
    leaves ``run.json`` with everything it depends on, its metrics and its last checkpoint, from which it goes on when
    it was cut.

    Args:
        config: of every run, but for what is varied.
        protocol: seeds and epochs.
        names: of the variants, see `variants`.
        folder: one sub-folder a run.
        device: to compute on.
        observer: who watches the run of a variant with a seed.
        watch: told of pictures that are read before.

    Raises:
        TrainingError, CheckpointError, DatasetError: see `Trainer`; before the first run if `model.start` does not
            fit each of `names`.
    """
    sets = load_sets(config, watch)
    known = variants(config, protocol.contrast_weight)
    places = {(s, n): folder / f"{_slug(n)}-seed-{s}" for s in protocol.seeds for n in names}
    if config.model.start:
        new = {name: known[name] for (_, name), p in places.items() if not (p / LAST).exists()}
        _require_start(new, folder, device, sets)
    data = TrainedOn.of(config, sets, watch)
    _finished(folder, known, protocol, data)  # a damaged record shows before hours of training
    *training, val = sets
    learned = [sample for dataset in training for sample in dataset.samples]
    said = cautions(learned, val.samples, val.labels, config.input)  # all runs have the same data
    for (seed, name), place in places.items():
        run = _with_protocol(known[name], protocol, seed)
        begun = (place / LAST).exists()
        trainer = Trainer(run.already_begun() if begun else run, place, device, sets=sets)
        if begun:
            trainer.resume(place / LAST)
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / RUN, json.dumps(dataclasses.asdict(run), indent=1))
        watcher = observer(name, seed)
        for sentence in said:
            watcher.on_caution(sentence)
        said = ()
        trainer.run(watcher, of_several=True)
        _write(folder, config, protocol, _finished(folder, known, protocol, data))
    return folder / TABLE


def _finished(
    folder: Path, known: dict[str, RunConfig], protocol: Protocol, data: TrainedOn
) -> list[dict[str, Any]]:
    """Every run in `folder` that is done, of this call or of an earlier one with other variants or seeds.

    Runs of another protocol, configuration or data are left out: a table compares what is alike.

    Raises:
        CheckpointError: the record of one is damaged.
    """
    found = []
    for name, config in known.items():
        start = f"{_slug(name)}-seed-"
        seeds = (p.name.removeprefix(start) for p in folder.glob(f"{start}*"))
        for seed in sorted({int(s) for s in seeds if s.isdecimal()}):
            run, place = _with_protocol(config, protocol, seed), folder / f"{start}{seed}"
            if _is_done(place / LAST, run, data):
                best = best_epoch(place / METRICS, run.training.epochs)
                found.append({"variant": name, "seed": seed, **best})
    return found


def _is_done(checkpoint: Path, run: RunConfig, data: TrainedOn) -> bool:
    try:
        progress = read_progress(checkpoint)
        progress.require_config(run.sha256, checkpoint)
        progress.require_data(data, checkpoint)
    except CheckpointError:
        # There is none, or it is of another run; `Trainer.resume` looks at one that this call goes on with.
        return False
    return progress.epoch >= run.training.epochs


def _require_start(
    chosen: dict[str, RunConfig], folder: Path, device: torch.device, sets: list[Dataset]
) -> None:
    """That every variant can begin with `model.start`: hours of others would be lost on one that cannot."""
    try:
        for name, run in chosen.items():  # noqa: B007 - the name is for who catches
            Trainer(run, folder, device, sets=sets)
    except CheckpointError as error:
        raise CheckpointError(
            f"the variant {name!r} cannot begin: {error}; name those that can with --variant, or leave "
            "model.start out"
        ) from error


def _with_protocol(config: RunConfig, protocol: Protocol, seed: int) -> RunConfig:
    """The run of one seed; its digest is of everything in it, so that no checkpoint of another is taken for its own."""
    epochs = protocol.epochs or config.training.epochs
    training = dataclasses.replace(config.training, epochs=epochs)
    run = dataclasses.replace(config, seed=seed, training=training)
    text = json.dumps(dataclasses.asdict(run), sort_keys=True)
    return dataclasses.replace(run, sha256=hashlib.sha256(text.encode()).hexdigest())


def _write(
    folder: Path,
    config: RunConfig,
    protocol: Protocol,
    runs: list[dict[str, Any]],
) -> None:
    names = list(dict.fromkeys(run["variant"] for run in runs))
    document = {
        "config_sha256": config.sha256,
        "validation": f"{config.val.name} {config.val.split}",
        "input_px": [config.input.width_px, config.input.height_px],
        "epochs": protocol.epochs or config.training.epochs,
        "contrast_weight": protocol.contrast_weight,
        "seeds": sorted({run["seed"] for run in runs}),
        "runs": runs,
    }
    write_whole(folder / RESULT, to_json(document, indent=1))
    write_whole(folder / TABLE, table(document, names))


def table(document: dict[str, Any], names: Sequence[str]) -> str:
    """Markdown: mean and standard deviation over seeds of each variant that has runs."""
    lines = [protocol_line(document), "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    return "\n".join([*lines, *map(_line, rows(document, names))]) + "\n"


def protocol_line(document: dict[str, Any]) -> str:
    """How the figures of `rows` came about."""
    width, height = document["input_px"]
    return (
        f"{document['validation']}, {width}x{height} px, {document['epochs']} epochs, seeds "
        f"{', '.join(map(str, document['seeds']))}, contrast weight {document['contrast_weight']:g}; mean ± standard "
        "deviation of the best epoch's averaged weights."
    )


def rows(document: dict[str, Any], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Cells under `COLUMNS`, one row for each variant that has runs."""
    found = []
    for name in names:
        own = [run["metrics"] for run in document["runs"] if run["variant"] == name]
        if own:
            figures = (spread([m[key] for m in own]) for key in FIGURES)
            found.append((name, str(len(own)), *figures))
    return found


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    """``0.671 ± 0.004``; the mean alone of one value, a dash where there is none."""
    there = [v for v in values if v is not None and not math.isnan(v)]
    if not there:
        return "–"
    mean = f"{statistics.fmean(there):.3f}"
    return f"{mean} ± {statistics.stdev(there):.3f}" if len(there) > 1 else mean


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())
