"""The data sets of a run."""

from __future__ import annotations

from mobilemamba.config import RunConfig
from mobilemamba.dataset import Dataset, load_dataset


def load_sets(config: RunConfig) -> list[Dataset]:
    """Every training set in the order of the configuration, then the validation set; all with the classes of the first.

    Raises:
        ConfigError, DatasetError: see there.
    """
    sets: list[Dataset] = []
    for entry in (*config.train, config.val):
        sets.append(load_dataset(*entry.paths(), labels=sets[0].labels if sets else None))
    return sets
