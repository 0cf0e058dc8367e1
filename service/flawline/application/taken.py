"""The pictures that a worker has taken, and that wait for the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from flawline.application.job import Lease
from flawline.application.traces import Trail
from flawline.core.batching import BatchPolicy


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture that a worker holds, and what it went through so far.

    rows: of a batch that it will take: more than one where the frame is cut into tiles.
    """

    lease: Lease
    trail: Trail
    rows: int = 1


class TakenPictures:
    """Between the one who takes and those who run: no more than the largest batch."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._pictures: list[Taken] = []
        self._something = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def room(self) -> int:
        """How many more may be taken now."""
        return self._policy.max_batch - len(self._pictures)

    async def until_room(self) -> int:
        """Wait for room, and return how much there is."""
        while self.room < 1:
            self._room.clear()
            await self._room.wait()
        return self.room

    def put(self, picture: Taken) -> None:
        """One more waits."""
        self._pictures.append(picture)
        self._something.set()

    async def until_some(self) -> None:
        """Wait until a picture waits."""
        await self._something.wait()

    def cut(
        self, now_s: float, run_s: Callable[[int], float], prepare_s: Callable[[int], float]
    ) -> tuple[list[Taken], list[Taken], str]:
        """Take out the pictures to run now, and those too late; and why no more run now.

        A run takes `run_s` of its rows once its pictures are prepared, each of which takes `prepare_s` of its bytes.
        """
        pictures = self._pictures
        jobs = [picture.lease.job for picture in pictures]
        rows = [picture.rows for picture in pictures]
        usual_s = run_s(self._policy.max_batch)
        needs_s = [
            prepare_s(len(job.picture)) + self._more_s(count, run_s, usual_s)
            for job, count in zip(jobs, rows, strict=True)
        ]
        cut = self._policy.cut([job.deadline_s for job in jobs], now_s, usual_s, needs_s, rows)
        gone = {*cut.run, *cut.expired}
        self._keep([picture for i, picture in enumerate(pictures) if i not in gone])
        return [pictures[i] for i in cut.run], [pictures[i] for i in cut.expired], cut.because

    def _more_s(self, rows: int, run_s: Callable[[int], float], usual_s: float) -> float:
        """What a frame of more tiles than a batch has room for takes beyond a batch."""
        return max(0.0, run_s(rows) - usual_s) if rows > self._policy.max_batch else 0.0

    def take_all(self) -> list[Taken]:
        """Take out all that waits; it will not be run."""
        pictures = self._pictures
        self._keep([])
        return pictures

    def _keep(self, pictures: list[Taken]) -> None:
        self._pictures = pictures
        self._room.set()
        if not pictures:
            self._something.clear()
