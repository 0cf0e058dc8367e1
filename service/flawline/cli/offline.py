"""Inspects files without a server: the same Inspector, fed a few files ahead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from flawline.application.inspector import InspectionRequest, Inspector
from flawline.cli.pictures import PictureFile
from flawline.core.errors import InspectionError
from flawline.core.priority import Priority
from flawline.core.values import Inspection, Reason


@dataclass(frozen=True, slots=True)
class Inspected:
    """What became of one file: an inspection, or why there is none."""

    file: PictureFile
    inspection: Inspection | None
    failure: Reason | None


@dataclass(frozen=True, slots=True)
class OfflineOptions:
    """How files are inspected. ahead: how many at once; max_bytes: of a file."""

    min_score: float | None
    deadline_ms: int
    max_bytes: int
    ahead: int


async def inspect_files(
    inspector: Inspector, files: Iterable[PictureFile], options: OfflineOptions
) -> AsyncIterator[Inspected]:
    """One outcome a file, in the order of the files."""
    running: deque[asyncio.Task[Inspected]] = deque()
    try:
        for file in files:
            running.append(asyncio.create_task(_inspect(inspector, file, options)))
            if len(running) >= options.ahead:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()


async def _inspect(inspector: Inspector, file: PictureFile, options: OfflineOptions) -> Inspected:
    try:
        picture = await asyncio.to_thread(read_at_most, file.path, options.max_bytes + 1)
        request = InspectionRequest(
            picture,
            min_score=options.min_score,
            deadline_ms=options.deadline_ms,
            priority=Priority.BACKFILL.value,  # files are no camera's frames, also where a line is declared
        )
        return Inspected(file, await inspector.inspect(request), None)
    except OSError as error:
        reason = Reason("unreadable_file", f"The file cannot be read: {error.strerror}.")
        return Inspected(file, None, reason)
    except InspectionError as error:
        return Inspected(file, None, Reason(error.code, str(error)))


def read_at_most(path: Path, max_bytes: int) -> bytes:
    """The file's first bytes: one that is too large is refused without being read whole."""
    with path.open("rb") as file:
        return file.read(max_bytes)
