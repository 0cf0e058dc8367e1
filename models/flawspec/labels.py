"""The classes a model knows, in the order of its outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def label_faults(names: Sequence[str]) -> list[str]:
    """Everything that keeps `names` from being a label set; empty when nothing does."""
    if not names:
        return ["there must be at least one label"]
    faults = [
        f"label {name!r} must be 1 to 64 of a-z, 0-9, '_' and '-', not starting with '_' or '-'"
        for name in names
        if not _NAME.fullmatch(name)
    ]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return faults + [f"label {name!r} stands there more than once" for name in repeated]


@dataclass(frozen=True)
class LabelSet:
    """Class names; a class id is an index into them.

    They become metric labels and JSON values, hence the narrow alphabet. Raises ValueError naming
    every fault.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if faults := label_faults(self.names):
            raise ValueError("; ".join(faults))

    def __len__(self) -> int:
        return len(self.names)

    def name_of(self, class_id: int) -> str:
        """Raises IndexError for an id outside 0..len-1 (a negative one included)."""
        if not 0 <= class_id < len(self.names):
            raise IndexError(f"class id {class_id} is outside 0..{len(self.names) - 1}")
        return self.names[class_id]

    def id_of(self, name: str) -> int:
        """Raises KeyError for a name that is not in the set."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None
