"""The data sets of a run."""

from __future__ import annotations

from pathlib import Path

from mobilemamba.annotations import DatasetError
from mobilemamba.config import DataConfig, RunConfig
from mobilemamba.dataset import Dataset, load_dataset
from mobilemamba.watching import Watch, unwatched


def load_sets(config: RunConfig, watch: Watch = unwatched) -> list[Dataset]:
    """Every training set in the order of the configuration, then the validation set; all with the classes of the first.

    Raises:
        ConfigError, DatasetError: see there; or there is no box to learn from, or none to measure on.
    """
    sets: list[Dataset] = []
    for entry in (*config.train, config.val):
        labels = sets[0].labels if sets else None
        sets.append(load_dataset(*entry.paths(), labels=labels, watch=watch))
    *training, val = sets
    if not any(has_boxes(dataset) for dataset in training):
        raise DatasetError(_source(config.train[0]), ["no training set has a box to learn from"])
    if not has_boxes(val):
        raise DatasetError(
            _source(config.val),
            [
                "the validation set has no boxes, so nothing can be measured on it; give pictures with flaws as well"
            ],
        )
    return sets


def has_boxes(dataset: Dataset) -> bool:
    """Whether any of its pictures has a flaw."""
    return any(len(sample.class_ids) for sample in dataset.samples)


def _source(entry: DataConfig) -> Path:
    annotations, images = entry.paths()
    return annotations or images
