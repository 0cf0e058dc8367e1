"""Where the limits of this process stand: in its cgroup and in each above it, of version 2 or 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def limiting_folders(controller: str, cgroups: Path = CGROUPS, own: Path = OWN) -> Iterator[Path]:
    """Those of the cgroup of this process and of each above it: a limit of any holds for all below.

    Within a container the path may be the host's, of which only the end is mounted, as the root.

    Args:
        controller: "cpu" or "memory".
        cgroups: where they are mounted.
        own: the file that says in which this process is.
    """
    yield from (cgroups, cgroups / controller)
    text = ""
    with suppress(OSError, ValueError):
        text = own.read_text()
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        folder = cgroups / controller if controllers else cgroups  # v1's, or v2's
        if controllers and controller not in controllers.split(","):
            continue
        for name in path.strip("/").split("/"):
            folder /= name
            yield folder
