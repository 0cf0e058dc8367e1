"""What is tried. A setting that is worth tuning is added here, and nowhere else."""

from __future__ import annotations

import os

from flawline.application.tuning import Axis
from flawline.core.tuning import Candidate
from flawline.settings import FlawlineSettings

TUNED = ("engine_threads", "max_batch", "decode_threads")
"""The settings, in the order of candidates; each is an int in FlawlineSettings."""

_BATCHES = (1, 2, 4, 8, 16)
_MOST_DECODE_THREADS = 4


def axes(cores: int | None = None) -> tuple[Axis, ...]:
    """For a machine with so many cores. What matters most comes first: time may run out.

    Settings that only make sense together are one change, as `{"engine_threads": 1, "decode_threads": 2}`.
    """
    cores = cores or os.cpu_count() or 1
    return (
        Axis("engine_threads", tuple({"engine_threads": n} for n in _powers(cores))),
        Axis("max_batch", tuple({"max_batch": n} for n in _BATCHES)),
        Axis(
            "decode_threads",
            tuple({"decode_threads": n} for n in _powers(min(cores, _MOST_DECODE_THREADS))),
        ),
    )


def as_set(settings: FlawlineSettings) -> Candidate:
    """What is in force now."""
    return Candidate(tuple((name, int(getattr(settings, name))) for name in TUNED))


def _powers(most: int) -> list[int]:
    """1, 2, 4, ... and the most itself."""
    return sorted({most, *(2**n for n in range(most.bit_length()) if 2**n <= most)})
