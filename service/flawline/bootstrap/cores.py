"""How many cores this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from flawspec.cgroups import CGROUPS, OWN, limiting_folders

_QUOTA_FILES = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))  # cgroup v2's and v1's


def usable_cores(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Those it may run on, and no more than its container's or unit's quota allows: at least 1.

    More threads than that would only wait for each other: a container may see all cores of its machine, and have
    the time of one. cgroups, own: see `limiting_folders`.
    """
    cores = len(_allowed()) or os.cpu_count() or 1
    folders = limiting_folders("cpu", cgroups, own)
    quotas = [quota for folder in folders if (quota := _quota_of(folder))]
    return max(1, min(cores, *map(round, quotas))) if quotas else cores


def cores_for(threads: int, cgroups: Path = CGROUPS, own: Path = OWN) -> tuple[int, ...]:
    """A core for each of so many threads to be bound to; none unless they are as many as the cores.

    Under a quota of fewer, which cores a container has time on changes, and others would be bound to the same ones.
    """
    allowed = _allowed()
    return allowed if len(allowed) == threads == usable_cores(cgroups, own) else ()


def _allowed() -> tuple[int, ...]:
    """Cores that this process may run on; none where the system does not say."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _quota_of(folder: Path) -> float | None:
    """In cores; None where there is none, or v2 says "max 100000", v1 -1."""
    for names in _QUOTA_FILES:
        with suppress(OSError, ValueError):
            runs_us, of_us = (int(word) for name in names for word in _words(folder / name))
            if runs_us > 0:
                return runs_us / of_us
    return None


def _words(file: Path) -> list[str]:
    return file.read_text().split()
