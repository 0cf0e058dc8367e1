"""Cross-validation: every training picture is measured by a network that has not seen its surface.

For data sets too small to set pictures aside, and for thresholds that must not be chosen on the
validation set.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError
from mobilemamba.cautions import cautions_of_fold, cautions_of_pictures
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.config import DataConfig, RunConfig, expand_path
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections, Metrics, measure
from mobilemamba.out_of_fold import OutOfFold
from mobilemamba.sets import has_boxes, load_sets
from mobilemamba.split import find_groups, share_out
from mobilemamba.start import learned_sets
from mobilemamba.strict_json import to_json
from mobilemamba.train import LAST, Observer, Trainer
from mobilemamba.trained_on import TrainedOn, pictures_sha256, places_once
from mobilemamba.watching import Watch, unwatched
from mobilemamba.whole_file import write_whole

FOLD_RESULT, RESULT, DETECTIONS = "fold.json", "crossval.json", "out-of-fold.npz"


@dataclass(frozen=True)
class Spread:
    """Of one figure over the folds in which it exists; NaN without any. `deviation` is the sample's, NaN for one."""

    mean: float
    deviation: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class CrossValidation:
    """Metrics of each fold, and of each figure its spread over the folds, by name (`map50`, `ap50/pit`, ...)."""

    folds: tuple[Metrics, ...]
    spread: dict[str, Spread]


def cross_validate(
    config: RunConfig,
    folds: int,
    folder: Path,
    device: torch.device,
    observer: Callable[[int], Observer],
    watch: Watch = unwatched,
) -> CrossValidation:
    """Train once for each fold of the training sets and measure on that fold; the validation set is left alone.

    Pictures of one surface are never in two folds. The weights after the last epoch are taken, since the
    best of all epochs would be chosen on what it is measured on. A fold that is done is not trained
    again, one that was cut goes on; both only where the fold still holds the same pictures.

    Args:
        config: of every run.
        folds: at least 2.
        folder: one sub-folder a fold, ``crossval.json`` and ``out-of-fold.npz``.
        device: to compute on.
        observer: who watches the fold of the given number.
        watch: told of pictures that are read and compared before.

    Raises:
        TrainingError, CheckpointError, DatasetError: see `Trainer`; or `model.start` was trained on these pictures.
    """
    sets = load_sets(config, watch)
    places = [folder / f"fold-{number + 1}" for number in range(folds)]
    if not all((place / LAST).exists() for place in places):
        _require_foreign_start(config, sets, watch)
    halves = _halves(config, sets[:-1], folds, watch)
    of_all = cautions_of_pictures([s for d in sets[:-1] for s in d.samples], config.input)
    said: set[str] = set()
    metrics: list[Metrics] = []
    collected: list[tuple[Sample, Detections]] = []
    for number, (place, half) in enumerate(zip(places, halves, strict=True)):
        own = _named(config, f"fold {number + 1} of {folds}")
        watcher = observer(number)
        learned = cautions_of_fold(half[0].samples, half[0].labels)
        for sentence in [s for s in (*of_all, *learned) if s not in said]:
            watcher.on_caution(sentence)
            said.add(sentence)
        trainer = _trained(own, place, device, half, watcher, watch)
        found = trainer.detections()
        metrics.append(measure(half[1], found))
        _write(place / FOLD_RESULT, dataclasses.asdict(metrics[-1]))
        collected += list(zip(half[1].samples, found, strict=True))
    return _kept(folder, config, sets[0].labels, metrics, collected)


def _kept(
    folder: Path,
    config: RunConfig,
    labels: LabelSet,
    metrics: list[Metrics],
    collected: list[tuple[Sample, Detections]],
) -> CrossValidation:
    """Write the figures of all folds, and what was found in every picture."""
    result = CrossValidation(tuple(metrics), spread_of(metrics))
    _write(folder / RESULT, dataclasses.asdict(result) | {"config_sha256": config.sha256})
    samples, detections = zip(*collected, strict=True)
    digests = pictures_sha256(samples)
    OutOfFold(labels, samples, detections, digests, config.sha256).save(folder / DETECTIONS)
    return result


def _require_foreign_start(config: RunConfig, sets: list[Dataset], watch: Watch) -> None:
    """That the start has not seen what a fold is measured on, as far as it tells.

    Raises:
        CheckpointError: it has, or cannot be read.
    """
    if not config.model.start:
        return
    start = expand_path(config.model.start)
    learned = learned_sets(start)
    *training, _ = TrainedOn.of(config, sets, watch).sets
    seen = [f"{entry.name} {entry.split}" for entry in training if entry.digests() & learned]
    if seen:
        raise CheckpointError(
            f"model.start: {start} was trained on {', '.join(dict.fromkeys(seen))}, so that no fold could be measured "
            "on pictures that it has not seen; start from a network that was trained on other pictures, or from none"
        )


def spread_of(metrics: list[Metrics]) -> dict[str, Spread]:
    """Of each figure over `metrics`."""
    flat = [m.figures() for m in metrics]
    return {name: _spread([figures[name] for figures in flat]) for name in flat[0]}


def _spread(values: list[float]) -> Spread:
    there = [v for v in values if not np.isnan(v)]
    if not there:
        return Spread(*[float("nan")] * 4)
    deviation = statistics.stdev(there) if len(there) > 1 else float("nan")
    return Spread(statistics.fmean(there), deviation, min(there), max(there))


def _trained(
    config: RunConfig,
    place: Path,
    device: torch.device,
    sets: list[Dataset],
    observer: Observer,
    watch: Watch,
) -> Trainer:
    last = place / LAST
    begun = last.exists()
    own = config.already_begun() if begun else config
    trainer = Trainer(own, place, device, sets=sets, watch=watch)
    if begun:
        trainer.resume(last)
        if trainer.progress.data is None:  # its pictures may be the ones to measure on
            raise CheckpointError(
                f"{last} does not say which pictures it was trained on (a former release wrote it); give another folder"
            )
    trainer.run(observer, of_several=True)
    return trainer


def _halves(
    config: RunConfig, training: list[Dataset], folds: int, watch: Watch
) -> list[list[Dataset]]:
    """For each fold what is trained on and what is measured on: a picture that is listed twice, once.

    Raises:
        DatasetError: a fold would be empty, or leave nothing to learn from.
    """
    labels = training[0].labels
    groups = find_groups(training, watch)
    parts = share_out(groups, len(labels), [1 / folds] * folds, config.seed)
    found = []
    for number, part in enumerate(parts):
        rest = sorted(set(range(len(groups.samples))) - set(part))
        held = [groups.samples[i] for i in part]
        measured = [held[i] for i in places_once(held, pictures_sha256(held))]
        sets = [_numbered(labels, side) for side in ([groups.samples[i] for i in rest], measured)]
        fault = "holds no picture" if not part else ""
        fault = fault or ("leaves no box to learn from" if not has_boxes(sets[0]) else "")
        if fault:
            annotations, images = config.train[0].paths()
            what = (
                f"fold {number + 1} of {len(parts)} {fault}: there are {len(groups.members)} places to share out, and "
                "pictures of one place stay together; give fewer --folds, or more pictures"
            )
            raise DatasetError(annotations or images, [what])
        found.append(sets)
    return found


def _named(config: RunConfig, fold: str) -> RunConfig:
    """The same run with its two sets named as what they are: all training sets together, in two parts."""
    name = " + ".join(dict.fromkeys(f"{entry.name} {entry.split}" for entry in config.train))
    rest, part = (DataConfig(name, split, "") for split in (f"without {fold}", fold))
    return dataclasses.replace(config, train=(rest,), val=part)


def _numbered(labels: LabelSet, samples: list[Sample]) -> Dataset:
    """A data set whose ids are its own: those of several files may collide."""
    own = tuple(dataclasses.replace(s, image_id=i) for i, s in enumerate(samples, start=1))
    return Dataset(labels, own, "")


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(content, indent=1))
