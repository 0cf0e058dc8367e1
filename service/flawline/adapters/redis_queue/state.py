"""How the queue stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flawline.adapters.redis_queue.keys import CLASSES
from flawline.core.priority import Priority


@dataclass(frozen=True, slots=True)
class QueueState:
    """For metrics: jobs that wait, by class, that are lent, and dead letters."""

    depth: Mapping[Priority, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    oldest_age_s: Mapping[Priority, float] = field(
        default_factory=lambda: dict.fromkeys(CLASSES, 0.0)
    )
    leased: int = 0
    dead_letters: int = 0

    @classmethod
    def of(cls, waiting: Sequence[tuple[int, int]], leased: int, dead_letters: int) -> QueueState:
        """As `measure` tells it: of each class how many wait, and the age of the oldest in ms."""
        depths, ages_ms = zip(*waiting, strict=True)
        return cls(
            dict(zip(CLASSES, depths, strict=True)),
            {of: age_ms / 1000 for of, age_ms in zip(CLASSES, ages_ms, strict=True)},
            *(leased, dead_letters),
        )
