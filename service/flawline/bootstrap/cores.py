"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota_file: Path = _QUOTA) -> int:
    """Those it may run on, and no more than its container's quota allows (cgroup v2's `cpu.max`): at least 1.

    More threads than that would only wait for each other: a container may see all cores of its machine, and have
    the time of one.
    """
    cores, quota = len(_allowed()) or os.cpu_count() or 1, _quota_of(quota_file)
    return cores if quota is None else max(1, min(cores, round(quota)))


def cores_for(threads: int, quota_file: Path = _QUOTA) -> tuple[int, ...]:
    """A core for each of so many threads to be bound to; none unless they are as many as the cores.

    Under a quota of fewer, which cores a container has time on changes, and others would be bound to the same ones.
    """
    allowed = _allowed()
    return allowed if len(allowed) == threads == usable_cores(quota_file) else ()


def _allowed() -> tuple[int, ...]:
    """Cores that this process may run on; none where the system does not say."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _quota_of(file: Path) -> float | None:
    try:
        runs_us, of_us = file.read_text().split()
        return int(runs_us) / int(of_us)
    except (OSError, ValueError):  # there is no such file, or it says "max 100000"
        return None
