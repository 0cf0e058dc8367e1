"""Takes jobs from the queue, runs them in batches, and brings the outcomes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flawline.application.appetite import Appetite
from flawline.application.batch_run import BatchRun, Ended
from flawline.application.crew import Crew
from flawline.application.deadline import DeadlinePassed, pause, within
from flawline.application.engine_watch import EngineWatch
from flawline.application.failures import failure_of
from flawline.application.in_hand import InHand
from flawline.application.job import Lease
from flawline.application.ports import (
    Clock,
    InferenceEngine,
    JobSource,
    NothingToRun,
    Traces,
    WorkerTelemetry,
)
from flawline.application.stages import Stages
from flawline.application.taken import Batch, Claim, TakenPictures
from flawline.application.traces import NoTraces
from flawline.core.batching import BatchPolicy, halves
from flawline.core.call_times import CallTimes

logger = logging.getLogger(__name__)


class BatchWorker:
    """Feeds one engine.

    Loops run side by side. One leases jobs, at most `max_batch` ahead. The others, `batches` of them,
    call the engine whenever pictures wait. When it is a call's turn it cuts its batch of them and brings
    that through all stages. What waits is not decoded yet: its pictures would take the processor from
    the batches that run, and may be too late when those have ended. Every lease
    is resolved with the picture's own outcome: a picture that cannot be decoded costs no other one,
    and a batch that fails is halved until the culprit is alone. When it is the engine that
    fails, on anything, what is in hand goes back to the queue, and no more is taken until it works.

    A job that another worker died on, or its engine began to fail with, is run when nothing else is
    in hand, here and in its `crew`, the workers of this process: no neighbour is drawn in.

    batches: how many calls of the engine are open at a time; as many as share what waits (`policy`), or
    more where one is prepared, or waits for its turn, while others are computed.

    spread: threads to prepare the pictures of one batch side by side, where batches that run in
    parallel do not keep all cores busy; None prepares one after the other.

    shared: whether other workers take from the same queue; see Appetite.

    extend_every_s: how often the queue is told that the leases in hand are worked on; None where
    leases do not run out. A worker whose engine is stuck does not say so: another may take them.
    """

    def __init__(
        self,
        *,
        queue: JobSource,
        engine: InferenceEngine,
        stages: Stages,
        clock: Clock,
        telemetry: WorkerTelemetry,
        policy: BatchPolicy,
        stall_limit_s: float,
        batches: int | None = None,
        spread: Executor | None = None,
        shared: bool = False,
        extend_every_s: float | None = None,
        traces: Traces | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._queue = queue
        self._engine = EngineWatch(engine, clock, telemetry, stall_limit_s)
        self._stages = stages
        self._clock = clock
        self._telemetry = telemetry
        self._spread = spread
        self._extend_every_s = extend_every_s
        self._taken = TakenPictures(policy)
        self._appetite = (
            Appetite(self._engine, self._taken, clock, policy.parallel) if shared else None
        )
        self._batches = [stages.images(policy.max_batch) for _ in range(batches or policy.parallel)]
        self._prepare_times = CallTimes()  # by the bytes of a picture
        self._engine_works = asyncio.Event()
        self._engine_works.set()
        self._in_hand = InHand(queue, telemetry, traces or NoTraces())
        self._crew = crew or Crew(clock)
        self._crew.join(self._in_hand, self._engine)
        self._draining = self._stopped = False
        self._loops: tuple[asyncio.Task[None], ...] = ()
        self._errands: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to take jobs."""
        self._loops = (
            asyncio.create_task(self._take_ahead(), name="flawline take"),
            *(
                asyncio.create_task(self._run_batches(images), name=f"flawline run {number}")
                for number, images in enumerate(self._batches)
            ),
            asyncio.create_task(self._extend(), name="flawline extend"),
        )
        for loop in self._loops:
            loop.add_done_callback(_loop_ended)

    async def drain(self, limit_s: float) -> bool:
        """Take no more jobs, finish those in hand; False when `limit_s` did not suffice."""
        self._draining = True
        if self._loops:
            self._loops[0].cancel()
        try:
            await within(
                self._clock, self._clock.monotonic_s() + limit_s, self._in_hand.until_idle()
            )
        except DeadlinePassed:
            return False
        return True

    async def stop(self) -> None:
        """Take no more jobs, and hand back to the queue those in hand; drain first, then none is."""
        self._draining = self._stopped = True
        tasks = {*self._loops, *self._errands}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._in_hand.release()

    def fault(self) -> str | None:
        """What keeps this worker from answering, None when nothing does.

        draining, worker_failed, engine_stuck or engine_failing.
        """
        if self._draining:
            return "draining"
        if any(task.done() for task in self._loops):
            return "worker_failed"
        if self._engine.failing:  # first: each trial of it may be stuck for a while
            return "engine_failing"
        return "engine_stuck" if self._engine.stuck else None

    @property
    def jobs_in_hand(self) -> int:
        """Jobs taken and not yet ended."""
        return len(self._in_hand)

    @property
    def engine_busy_s(self) -> float:
        """How long the engine's oldest open call has lasted since its turn; 0 while it is idle."""
        return self._engine.busy_s

    async def _take_ahead(self) -> None:
        while await self._take_some(await self._taken.until_room()):
            await self._engine_works.wait()
            await self._crew.until_admitted(self._in_hand)
            if self._appetite is not None:
                await self._appetite.until_hungry()

    async def _take_some(self, room: int) -> bool:
        """False once the queue is closed."""
        # Not in the loop itself, which would hold these pictures while it waits for the next.
        leases = await self._queue.lease(room)
        self._in_hand.set_aside(leases)  # all: one may be run alone, and the others wait
        try:
            for lease in leases:
                await self._take(lease)
        finally:
            self._crew.give_up(self._in_hand)
        return bool(leases)

    async def _take(self, lease: Lease) -> None:
        suspect = lease.deliveries > 1
        admitted = self._crew.admits(self._in_hand, alone=suspect)
        if suspect and admitted:
            await self._in_hand.until_idle()
            admitted = await self._crew.until_others_ended(self._in_hand)
        self._in_hand.take(lease)
        if not admitted or self._engine.failing:
            await self._in_hand.hand_back([lease])
            return
        self._taken.put(self._stages.taken(lease))
        if suspect:
            await self._in_hand.until_idle()

    async def _run_batches(self, images: NDArray[np.uint8]) -> None:
        """images: memory of this loop's own, uint8 [max_batch, 1, height, width]."""
        while True:
            await self._run_some(images, await self._taken.claim())

    async def _run_some(self, images: NDArray[np.uint8], claim: Claim) -> None:
        # Not in the loop itself: as in `_take_some`.
        cut = partial(self._cut, claim)
        try:
            await self._run(BatchRun(self._stages, cut, images, self._teller(), self._spread))
        finally:
            self._taken.give_up(claim)

    def _cut(self, claim: Claim) -> Batch:
        """On the engine's thread."""
        now_s = self._clock.monotonic_s()
        prepare_s = partial(self._prepare_times.expected_s, now_s)
        return self._taken.cut(claim, now_s, self._engine.expected_s, prepare_s)

    async def _run(self, run: BatchRun) -> None:
        """Run a batch, or the parts of it that do run."""
        # None is all of it, prepared in the same call; parts are of what was prepared then.
        parts: list[range | None] = [None]
        while parts:
            part = parts.pop()
            made = run.prepare if part is None else partial(run.again, part)
            ended: list[Ended] = []
            failure: Exception | None = None
            try:
                ended = await self._engine.run(made, partial(run.judge, part))
            except NothingToRun:
                pass
            except Exception as error:  # noqa: BLE001 - logged, once the culprit is found
                failure = error
            if part is None:
                self._note(run)
            self._resolve_soon(ended)
            if failure and not await self._looked_into(failure, run, part, parts):
                return

    def _teller(self) -> Callable[[list[Ended]], object]:
        loop = asyncio.get_running_loop()
        return lambda ended: loop.call_soon_threadsafe(self._resolve_soon, ended)

    def _note(self, run: BatchRun) -> None:
        if run.prepared:
            self._telemetry.batch_ran(len(run.prepared), run.because)
        if run.prepare_s is not None:
            now_s = self._clock.monotonic_s()
            self._prepare_times.add(run.prepare_s, now_s, run.largest_bytes)

    async def _looked_into(
        self, failure: Exception, run: BatchRun, part: range | None, parts: list[range | None]
    ) -> bool:
        """Find the culprit: a picture, or the engine, after which nothing is left to run."""
        failed = run.failed(part)
        if run.prepared and len(failed) > 1:
            logger.warning("batch_failed size=%d: halving it", len(failed))
            parts.extend(reversed(halves(part or range(len(failed)))))
            return True
        ended = [Ended(p.lease, p.trail, failure_of(p.lease, "inference", failure)) for p in failed]
        if await self._engine.fails_on_anything(run.image):
            rest = [picture for later in reversed(parts) for picture in run.failed(later)]
            await self._stand_by([picture.lease for picture in (*failed, *rest)], run.image)
            return False
        if not failed:
            raise failure  # no picture is to blame: the worker is not well, and shows it (`_loop_ended`)
        await self._in_hand.resolve(ended)
        return True

    def _resolve_soon(self, ended: Sequence[Ended]) -> None:
        """Also called back from the engine's thread, which may come too late: then all was handed back."""
        if ended and not self._stopped:
            task = asyncio.create_task(self._in_hand.resolve(ended))
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

    async def _stand_by(self, leases: Sequence[Lease], image: NDArray[np.uint8]) -> None:
        """Hand back what is in hand, which another worker may do, until the engine works again."""
        found_first = self._engine_works.is_set()
        if found_first:
            logger.error("engine_failing: it fails on an empty frame too")
            self._engine_works.clear()
        await self._in_hand.hand_back([taken.lease for taken in self._taken.take_all()])
        # The engine worked before these: one of them may be what ails it.
        await self._in_hand.hand_back(leases, counted=True)
        if not found_first:
            await self._engine_works.wait()
            return
        await self._engine.until_it_works(image)
        logger.warning("engine_works")
        self._engine_works.set()

    async def _extend(self) -> None:
        while self._extend_every_s is not None:
            await pause(self._clock, self._extend_every_s)
            if not self._engine.stuck:
                await self._in_hand.extend()
        await asyncio.Event().wait()


def _loop_ended(loop: asyncio.Task[None]) -> None:
    """Readiness shows that it did; why is for the log."""
    if not loop.cancelled() and (error := loop.exception()) is not None:
        logger.error("worker_failed loop=%r", loop.get_name(), exc_info=error)
