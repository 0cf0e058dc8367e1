"""What is tried. A setting that is worth tuning is added here, and nowhere else."""

from __future__ import annotations

from flawline.application.tuning import Axis
from flawline.core.tuning import Candidate
from flawline.settings import FlawlineSettings

TUNED = ("engine_threads", "engine_parallel", "max_batch")
"""The settings, in the order of candidates; each is an int in FlawlineSettings."""

_BATCHES = (1, 2, 4, 8, 16)
# Threads: as many as there are cores. Parallel: one batch a thread.
_ALL = 0


def axes(cores: int) -> tuple[Axis, ...]:
    """For a machine with so many cores. What matters most comes first: time may run out.

    Settings that only make sense together are one change.
    """
    below = _powers_below(cores)
    threads = [{"engine_threads": n, "engine_parallel": _ALL} for n in (_ALL, *below)]
    parallel = [{"engine_threads": _ALL, "engine_parallel": n} for n in below]
    return (
        Axis("engine threads", (*threads, *parallel)),
        Axis("largest batch", tuple({"max_batch": n} for n in _BATCHES)),
    )


def as_set(settings: FlawlineSettings) -> Candidate:
    """What is in force now."""
    return Candidate(tuple((name, int(getattr(settings, name))) for name in TUNED))


def _powers_below(most: int) -> list[int]:
    """1, 2, 4, ... below it."""
    return [2**n for n in range(most.bit_length()) if 2**n < most]
