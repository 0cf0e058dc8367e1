"""In which range each number of a run's description must lie: found out before a long training, not after it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from flawspec.manifest_rules import MAX_SIDE_PX


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`, both included unless they are said to be open."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        start = f"above {self.low:g}" if self.low_open else f"at least {self.low:g}"
        if math.isinf(self.high):
            return f"finite and {start}"
        return f"{start} and {'below' if self.high_open else 'at most'} {self.high:g}"


COUNT, SIDE, NOT_NEGATIVE = Range(1), Range(1, MAX_SIDE_PX), Range(0)
POSITIVE, SHARE = Range(0, low_open=True), Range(0, 1)
CHANGE = Range(0, 1, high_open=True)  # 1 would take everything away
GREY_LEVELS = Range(0, 255)

RANGES = {
    "seed": Range(0, 999_999_999),  # torch and numpy take no number of any size
    "input.width_px": SIDE,
    "input.height_px": SIDE,
    "input.pad_value": GREY_LEVELS,
    "input.mean": SHARE,
    "input.std": POSITIVE,
    "training.epochs": COUNT,
    "training.batch_size": COUNT,
    "training.learning_rate": POSITIVE,
    "training.final_share": SHARE,
    "training.warmup_epochs": NOT_NEGATIVE,
    "training.weight_decay": NOT_NEGATIVE,
    "training.clip_norm": POSITIVE,
    "training.average_decay": CHANGE,
    "training.plain_epochs": NOT_NEGATIVE,
    "training.evaluate_every": COUNT,
    "augment.mosaic": SHARE,
    "augment.scale": Range(0.01, 100),
    "augment.stretch": CHANGE,
    "augment.translate": SHARE,
    "augment.flip_horizontal": SHARE,
    "augment.flip_vertical": SHARE,
    "augment.transpose": SHARE,
    "augment.gain": SHARE,
    "augment.offset": GREY_LEVELS,
    "augment.gamma": Range(1, 100),
    "augment.noise": GREY_LEVELS,
    "augment.edge": SHARE,
    "augment.least_visible": SHARE,
    "loss.box": NOT_NEGATIVE,
    "loss.classes": NOT_NEGATIVE,
    "loss.sides": NOT_NEGATIVE,
    "loss.picture": NOT_NEGATIVE,
    "contrast.background_weight": NOT_NEGATIVE,
    "contrast.prediction_weight": NOT_NEGATIVE,
    "contrast.temperature": POSITIVE,
    "contrast.hard_share": SHARE,
    "contrast.easy_weight": SHARE,
    "contrast.warmup_epochs": NOT_NEGATIVE,
    "contrast.channels": COUNT,
    "contrast.most_negatives": COUNT,
    "contrast.confident_score": SHARE,
    "contrast.wrong_iou": SHARE,
}


def number_faults(settings: object) -> list[str]:
    """One sentence for each number of `settings`, a dataclass of dataclasses, that leaves its range.

    Raises:
        KeyError: a number has no range.
    """
    return [
        f"{place} must be {RANGES[place]}, not {value:g}"
        for place, value in _numbers(settings, "")
        if value not in RANGES[place]
    ]


def _numbers(settings: object, prefix: str) -> Iterator[tuple[str, float]]:
    """Each number by its path, also those of lists."""
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(part):
                yield from _numbers(part, f"{prefix}{field.name}.")
            elif isinstance(part, int | float) and not isinstance(part, bool):
                yield f"{prefix}{field.name}", part
