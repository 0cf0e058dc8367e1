"""The worker's end of the queue: take, extend, hand back, resolve."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from flawline.adapters.redis_queue.connection import BLOCK_S, Backoff, RedisError, Server, end
from flawline.adapters.redis_queue.keys import CLASSES, Keys
from flawline.adapters.redis_queue.large_pictures import LargePictures
from flawline.adapters.redis_queue.wire import STRANGE, Resolved, meta_from, outcome_to_wire
from flawline.application.failures import new_error_id
from flawline.application.job import Expired, Failed, Job, Lease
from flawline.application.ports import EXTENSIONS_PER_LEASE, Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Of what `take` returns of a job; empty where the picture lies apart.
_PICTURE = 7
_Given = tuple[Sequence[Sequence[Any]], float]  # jobs as `take` returns them, and when
_UNKNOWN: dict[str, Any] = {"recipe": "", "min_score": None}
# What is handed back looks idle for so long: longer than the lease of whoever takes it, which may be another than ours
# while settings are rolled out, and than the server's clock may be set back.
_HANDED_BACK_MS = 86_400_000


class Leases:
    """What one worker process holds, under its own name in the group.

    A receipt is `class/entry/number`, the number so that a job which comes twice is told apart.
    """

    def __init__(
        self,
        server: Server,
        keys: Keys,
        clock: Clock,
        count: Callable[[str, int], None],
        *,
        consumer: str,
        lease_s: float,
        max_deliveries: int,
    ) -> None:
        self._server = server
        self._bell = keys.bell
        self._pictures = LargePictures(server, keys)
        self._clock = clock
        self._count = count
        # Receipts of what was taken, and neither handed back nor given an outcome.
        self._held: set[str] = set()
        self._consumer = consumer
        self._lease_ms = round(lease_s * 1000)
        self._max_deliveries = max_deliveries
        # Jobs of the dead announce themselves by no bell: look for them in time.
        self._block_ms = round(min(BLOCK_S, lease_s / 2) * 1000)
        self._emptied_at: bytes | None = None  # ring after which none waited any more, if known
        self._turn = 0
        self._numbers = itertools.count(1)
        self._bells: set[asyncio.Task[None]] = set()
        self._errands: set[asyncio.Task[Any]] = set()
        self._used = False
        self._closed = False

    async def take(self, max_jobs: int) -> Sequence[Lease]:
        """Wait until there are jobs, and take up to so many; none once closed."""
        backoff = Backoff()
        while not self._closed:
            try:
                # What took the last ones saw that none was left: to ask again would be for nothing.
                if self._emptied_at is None and (leases := await self._undisturbed(max_jobs)):
                    return leases
                await self._wait_for_bell()
            except RedisError:  # noqa: PERF203 - an outage ends no loop
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()
        return []

    async def extend(self, leases: Sequence[Lease]) -> None:
        """Those that are still ours last anew."""
        places = [part for lease in leases for part in _place_of(lease)]
        await self._server.run("extend", self._consumer, *places)

    async def release(self, lease: Lease, *, counted: bool) -> None:
        """The next one who looks takes it."""
        self.let_go([lease])
        await self._release(*_place_of(lease), counted=counted)

    def let_go(self, leases: Sequence[Lease]) -> None:
        """These are worked on no more."""
        self._held.difference_update(lease.receipt for lease in leases)

    async def resolve(self, jobs: Sequence[Resolved]) -> None:
        """Save, acknowledge and delete all of them in one step."""
        arguments = [
            part
            for one in jobs
            for part in (
                *_place_of(one.lease),
                one.lease.job.job_id,
                one.lease.job.line,
                one.outcome,
                one.dead_because,
            )
        ]
        done = await self._server.run("resolve", *arguments)
        for one, ended_here in zip(jobs, done, strict=True):
            self._count("resolved" if ended_here else "resolved_elsewhere", 1)
            if ended_here and one.dead_because:
                self._count("dead_letter", 1)

    async def close(self) -> None:
        """Wake those who wait for work, and leave the group."""
        self._closed = True
        await end(*self._bells)
        await asyncio.sleep(0)  # whoever was cancelled just now learns of it, and hands back
        while errands := set(self._errands):
            await asyncio.wait(errands)
            await asyncio.sleep(0)
        if self._used:
            with suppress(RedisError):
                await self._server.run("retire", self._consumer)

    async def _undisturbed(self, max_jobs: int) -> list[Lease]:
        """Take; when the caller goes away meanwhile, hand back what was taken."""
        asking = self._errand(self._ask(max_jobs))
        fetching: asyncio.Task[list[Lease]] | None = None
        try:
            fetching = self._errand(self._all_taken(*await asyncio.shield(asking)))
            leases = await asyncio.shield(fetching)
        except asyncio.CancelledError:
            self._errand(self._hand_back(asking, fetching))
            raise
        self._held.update(lease.receipt for lease in leases)
        return leases

    async def _hand_back(
        self, asking: asyncio.Task[_Given], fetching: asyncio.Task[list[Lease]] | None
    ) -> None:
        """Pictures that have not come are not waited for."""
        if fetching:
            await end(fetching)
        with suppress(RedisError):
            for job in (await asking)[0]:
                await self._release(job[0], job[1])

    async def _ask(self, max_jobs: int) -> _Given:
        self._used = True
        error_id = new_error_id()
        jobs, rung, (reclaimed, expired, unwanted), dead, emptied = await self._server.run(
            "take",
            self._consumer,
            max_jobs,
            self._lease_ms,
            self._max_deliveries,
            self._turn,
            len(self._held),
            outcome_to_wire(Expired()),
            outcome_to_wire(Failed(error_id)),
        )
        # What the script says of times is so now; pictures are still to come.
        told_s = self._clock.monotonic_s()
        self._emptied_at = rung if emptied else None
        self._turn += len(jobs)
        for job_id in dead:
            logger.error("dead_letter inspection_id=%s error_id=%s", job_id.decode(), error_id)
        counts = {
            "leased": len(jobs),
            "reclaimed": reclaimed,
            "expired": expired,
            "cancelled": unwanted,
            "dead_letter": len(dead),
        }
        for event, count in counts.items():
            self._count(event, count)
        return jobs, told_s

    async def _all_taken(self, jobs: Sequence[Sequence[Any]], told_s: float) -> list[Lease]:
        """Who takes them extends what he was given. Until then they are extended here: pictures may come slowly."""
        places = {(job[0], job[1].decode()) for job in jobs}
        if all(job[_PICTURE] for job in jobs):
            return await self._each_taken(jobs, told_s, places)
        extending = asyncio.create_task(self._extend_on(places))
        try:
            return await self._each_taken(jobs, told_s, places)
        finally:
            await end(extending)

    async def _each_taken(
        self, jobs: Sequence[Sequence[Any]], told_s: float, places: set[tuple[int, str]]
    ) -> list[Lease]:
        """In turn; `places` loses those that could not be taken."""
        leases = []
        for job in jobs:
            if (lease := await self._taken(job, told_s)) is not None:
                leases.append(lease)
            else:
                places.discard((job[0], job[1].decode()))
        return leases

    async def _extend_on(self, places: set[tuple[int, str]]) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 1000 / EXTENSIONS_PER_LEASE)
            with suppress(RedisError):
                flat = [part for place in places for part in place]
                await self._server.run("extend", self._consumer, *flat)

    async def _taken(self, fields: Sequence[Any], told_s: float) -> Lease | None:
        """One whose picture cannot be had comes again once its lease has run out, and costs the others nothing."""
        try:
            return await self._lease_of(fields, told_s)
        except RedisError as error:
            logger.warning("job_not_taken inspection_id=%s error=%s", fields[2].decode(), error)
            # It killed nobody; handed back as one that was idle for no time yet.
            with suppress(RedisError):
                await self._server.ask("release", self._consumer, fields[0], fields[1], 0)
            return None

    async def _lease_of(self, fields: Sequence[Any], told_s: float) -> Lease | None:
        """None when the picture is gone, a good while after the deadline, or the job is not understood."""
        number, entry_id, job_id, line, remaining_ms, age_ms, meta, picture, deliveries = fields
        if not picture:
            picture = await self._pictures.get(job_id.decode())
        known = _meta_of(job_id, meta)
        job = Job(
            job_id=job_id.decode(),
            picture=picture,
            line=line.decode(),
            priority=CLASSES[number - 1],
            submitted_s=told_s - age_ms / 1000,
            deadline_s=told_s + remaining_ms / 1000,
            **(_UNKNOWN if isinstance(known, Failed) else known),
        )
        lease = Lease(job, f"{number}/{entry_id.decode()}/{next(self._numbers)}", deliveries)
        if isinstance(known, Failed) or not picture:
            ended = known if isinstance(known, Failed) else Expired()
            await self.resolve([Resolved(lease, outcome_to_wire(ended))])
            return None
        return lease

    async def _wait_for_bell(self) -> None:
        """Until a job was added since none waited; not longer than one blocking read."""
        rung, self._emptied_at = self._emptied_at, None
        if rung is None:
            return
        waiting: asyncio.Task[None] = asyncio.create_task(self._hear(rung))
        self._bells.add(waiting)
        try:
            # Not awaited itself: closing cancels it, which must not look like our own end.
            await asyncio.wait({waiting})
        finally:
            waiting.cancel()
            waiting.add_done_callback(self._bells.discard)
        if not waiting.cancelled():
            waiting.result()

    async def _hear(self, rung: bytes) -> None:
        await self._server.read(self._bell, rung, self._block_ms)

    async def _release(
        self, number: str | int, entry_id: str | bytes, *, counted: bool = False
    ) -> None:
        place = (self._consumer, number, entry_id)
        if await self._server.run("release", *place, _HANDED_BACK_MS, int(counted)):
            self._count("released", 1)

    def _errand(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs to its end whoever is cancelled meanwhile; closing waits for it."""
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task


def _meta_of(job_id: bytes, text: bytes) -> dict[str, Any] | Failed:
    """What `meta_of` wrote. One of another version that is not understood fails alone, and no worker of it."""
    try:
        return meta_from(text)
    except STRANGE as error:
        error_id = new_error_id()
        logger.error(  # noqa: TRY400 - where it was read tells nothing
            "job_not_understood inspection_id=%s error_id=%s: %r", job_id.decode(), error_id, error
        )
        return Failed(error_id)


def _place_of(lease: Lease) -> tuple[str, str]:
    number, entry_id, _ = lease.receipt.split("/")
    return number, entry_id
