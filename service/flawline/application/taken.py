"""The pictures that a worker has taken, and that wait for the engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

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


@dataclass(frozen=True, slots=True)
class Batch:
    """The pictures to run now, those too late, and why no more run now."""

    run: list[Taken]
    expired: list[Taken]
    because: str = "idle"


class Claim:
    """To a share of what will wait when the engine has a thread for it."""


class TakenPictures:
    """Between the one who takes and those who run: no more than the largest batch.

    Who wants to run claims a share, and the thread of the engine that comes to it cuts the batch: what came meanwhile
    goes with it, and no thread waits for the event loop between two batches. Only `cut` may be called on any thread.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._changing = threading.Lock()
        self._pictures: list[Taken] = []
        self._claims: set[Claim] = set()
        self._unclaimed = asyncio.Event()
        self._room = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def room(self) -> int:
        """How many more may be taken now."""
        return self._policy.max_batch - len(self._pictures)

    async def until_room(self) -> int:
        """Wait for room, and return how much there is."""
        self._loop = asyncio.get_running_loop()
        while self.room < 1:
            self._room.clear()
            await self._room.wait()
        return self.room

    def put(self, picture: Taken) -> None:
        """One more waits."""
        with self._changing:
            self._pictures.append(picture)
        self._unclaimed.set()

    async def claim(self) -> Claim:
        """Wait until there are more pictures than claims: each takes one at least, if any is left."""
        while len(self._pictures) <= len(self._claims):
            self._unclaimed.clear()
            await self._unclaimed.wait()
        claim = Claim()
        with self._changing:
            self._claims.add(claim)
        return claim

    def cut(
        self,
        claim: Claim,
        now_s: float,
        run_s: Callable[[int], float],
        prepare_s: Callable[[int], float],
    ) -> Batch:
        """Take out the pictures to run now, and those too late; none if the claim was given up. It is over then.

        A run takes `run_s` of its rows once its pictures are prepared, each of which takes `prepare_s` of its bytes.
        """
        with self._changing:
            if claim not in self._claims:
                return Batch([], [])
            self._claims.remove(claim)
            was_full = self.room < 1
            batch = self._cut(now_s, run_s, prepare_s)
        if was_full and self._loop is not None:
            self._loop.call_soon_threadsafe(self._room.set)
        return batch

    def give_up(self, claim: Claim) -> None:
        """What it would have taken is for others; nothing, if the batch was cut."""
        with self._changing:
            self._claims.discard(claim)
        self._unclaimed.set()

    def take_all(self) -> list[Taken]:
        """Take out all that waits; it will not be run."""
        with self._changing:
            pictures, self._pictures = self._pictures, []
        self._room.set()
        return pictures

    def _cut(
        self, now_s: float, run_s: Callable[[int], float], prepare_s: Callable[[int], float]
    ) -> Batch:
        cut = partial(self._cut_of, now_s=now_s, run_s=run_s, prepare_s=prepare_s)
        batch = cut(self._pictures)
        if batch.expired:
            batch = self._without_company(batch.expired, now_s, cut) or batch
        gone = set(map(id, (*batch.run, *batch.expired)))
        self._pictures = [picture for picture in self._pictures if id(picture) not in gone]
        return batch

    def _without_company(
        self, late: Sequence[Taken], now_s: float, cut: Callable[[Sequence[Taken]], Batch]
    ) -> Batch | None:
        """The batch without the classes below the most urgent one of these, if that saves one of them.

        It does not where they are too late for each other, as in an overload of their own class.
        """
        most_urgent = min(map(_urgency, late))
        ahead = [picture for picture in self._pictures if _urgency(picture) <= most_urgent]
        if len(ahead) == len(self._pictures):
            return None
        batch = cut(ahead)
        saves = len(batch.expired) < sum(_urgency(picture) == most_urgent for picture in late)
        # The others stay, but for those whose deadline has passed: they would take up room, and count as company.
        over = [
            one for one in late if _urgency(one) > most_urgent and one.lease.job.deadline_s <= now_s
        ]
        return replace(batch, expired=[*batch.expired, *over]) if saves else None

    def _cut_of(
        self,
        pictures: Sequence[Taken],
        now_s: float,
        run_s: Callable[[int], float],
        prepare_s: Callable[[int], float],
    ) -> Batch:
        jobs = [picture.lease.job for picture in pictures]
        rows = [picture.rows for picture in pictures]
        # Of what waits, not of a full batch: a lone picture is not late for what eight would take together.
        largest = self._policy.largest(sum(rows))
        usual_s = run_s(largest)
        needs_s = [
            # A frame of more tiles than that runs alone, and takes longer.
            prepare_s(len(job.picture))
            + (max(0.0, run_s(count) - usual_s) if count > largest else 0.0)
            for job, count in zip(jobs, rows, strict=True)
        ]
        cut = self._policy.cut([job.deadline_s for job in jobs], now_s, usual_s, needs_s, rows)
        run, expired = ([pictures[i] for i in part] for part in (cut.run, cut.expired))
        return Batch(run, expired, cut.because)


def _urgency(picture: Taken) -> int:
    return picture.lease.job.priority.urgency
