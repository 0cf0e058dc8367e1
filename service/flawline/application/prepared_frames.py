"""The pictures that are ready to run, and the memory they lie in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flawline.application.stages import Prepared
from flawline.core.batching import BatchPolicy, FrameRows


class PreparedFrames:
    """Between those that prepare and those that run: rows to fill, and from them batches to run."""

    def __init__(self, rows: FrameRows, policy: BatchPolicy) -> None:
        self._rows = rows
        self._policy = policy
        self._pictures: list[Prepared] = []
        self._something = asyncio.Event()
        self._row_freed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more pictures may be prepared now."""
        return self._rows.free

    async def until_free(self) -> int:
        """Wait for free rows, and return how many there are."""
        while not self._rows.free:
            self._row_freed.clear()
            await self._row_freed.wait()
        return self._rows.free

    def take_row(self) -> tuple[int, NDArray[np.uint8]]:
        """A free row to fill, by number and as uint8 [1, height, width]; there must be one."""
        number = self._rows.take()
        return number, self._rows.row(number)

    def give_back(self, rows: Sequence[int]) -> None:
        """Nothing in them will be run."""
        for row in rows:
            self._rows.give_back(row)
        self._row_freed.set()

    def put(self, picture: Prepared) -> None:
        """One more is ready to run."""
        self._pictures.append(picture)
        self._something.set()

    async def until_some(self) -> None:
        """Wait until a picture is ready to run."""
        await self._something.wait()

    def cut(self, now_s: float, run_s: float) -> tuple[list[Prepared], list[Prepared], str]:
        """Take out the pictures to run now, and those too late, as a run takes `run_s`; and why no more run now."""
        pictures = self._pictures
        deadlines_s = [picture.lease.job.deadline_s for picture in pictures]
        cut = self._policy.cut(deadlines_s, now_s, run_s)
        gone = {*cut.run, *cut.expired}
        self._keep([picture for i, picture in enumerate(pictures) if i not in gone])
        expired = [pictures[i] for i in cut.expired]
        if expired:
            self.give_back([picture.row for picture in expired])
        return [pictures[i] for i in cut.run], expired, cut.because

    def gather(self, batch: Sequence[Prepared], batch_number: int) -> NDArray[np.uint8]:
        """Their rows as batch of that number, uint8 [N, 1, height, width], until it is gathered anew."""
        images = self._rows.gather([picture.row for picture in batch], batch_number)
        self._row_freed.set()
        return images

    def take_all(self) -> list[Prepared]:
        """Take out all that is ready to run; it will not be."""
        pictures = self._pictures
        self._keep([])
        self.give_back([picture.row for picture in pictures])
        return pictures

    def _keep(self, pictures: list[Prepared]) -> None:
        self._pictures = pictures
        if not pictures:
            self._something.clear()
