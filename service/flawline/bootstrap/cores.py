"""How many cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_QUOTA_FILES = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))  # cgroup v2's and v1's


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Those it may run on, and no more than its container's or unit's quota allows: at least 1.

    More threads than that would only wait for each other: a container may see all cores of its machine, and have
    the time of one. cgroups: where they are mounted. own: the file that says in which this process is.
    """
    cores = len(_allowed()) or os.cpu_count() or 1
    quotas = [quota for folder in _folders(cgroups, own) if (quota := _quota_of(folder))]
    return max(1, min(cores, *map(round, quotas))) if quotas else cores


def cores_for(threads: int, cgroups: Path = _CGROUPS, own: Path = _OWN) -> tuple[int, ...]:
    """A core for each of so many threads to be bound to; none unless they are as many as the cores.

    Under a quota of fewer, which cores a container has time on changes, and others would be bound to the same ones.
    """
    allowed = _allowed()
    return allowed if len(allowed) == threads == usable_cores(cgroups, own) else ()


def _allowed() -> tuple[int, ...]:
    """Cores that this process may run on; none where the system does not say."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """Of the cgroup of this process and of each above it: a quota of any holds for all below.

    Within a container the path may be the host's, of which only the end is mounted, as the root.
    """
    yield from (cgroups, cgroups / "cpu")
    text = ""
    with suppress(OSError, ValueError):
        text = own.read_text()
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        folder = cgroups / "cpu" if controllers else cgroups  # v1's, or v2's
        if controllers and "cpu" not in controllers.split(","):
            continue
        for name in path.strip("/").split("/"):
            folder /= name
            yield folder


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
