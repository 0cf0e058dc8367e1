"""Takes jobs from the queue, runs them in batches, and brings the outcomes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawline.application.deadline import DeadlinePassed, pause, within
from flawline.application.engine_watch import EngineWatch
from flawline.application.failures import failure_of
from flawline.application.in_hand import InHand
from flawline.application.job import Expired, JobOutcome, Lease, PictureRefused
from flawline.application.ports import Clock, InferenceEngine, JobSource, Traces, WorkerTelemetry
from flawline.application.prepared_frames import PreparedFrames
from flawline.application.stages import Prepared, Stages, TooLate
from flawline.application.traces import NoTraces
from flawline.core.batching import BatchPolicy, halves
from flawline.core.values import RawOutput
from flawspec.errors import PictureError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerThreads:
    """`prepare` decodes and letterboxes; `finish` judges, and so never queues behind decoding."""

    prepare: Executor
    finish: Executor


class BatchWorker:
    """Feeds one engine.

    Loops run side by side. One leases jobs and prepares each picture in a row of its own, at most
    `max_batch` ahead. The others, as many as batches may run in parallel, run what is prepared
    whenever they are idle. Every lease
    is resolved with the picture's own outcome: a picture that cannot be decoded never gets into a
    batch, and a batch that fails is halved until the culprit is alone. When it is the engine that
    fails, on anything, what is in hand goes back to the queue, and no more is taken until it works.

    A job that another worker died on is run when nothing else is in hand: should it kill this one
    too, no neighbour is drawn in.

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
        threads: WorkerThreads,
        policy: BatchPolicy,
        stall_limit_s: float,
        extend_every_s: float | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._queue = queue
        self._engine = EngineWatch(engine, clock, telemetry, stall_limit_s)
        self._stages = stages
        self._clock = clock
        self._telemetry = telemetry
        self._threads = threads
        self._parallel = policy.parallel
        self._extend_every_s = extend_every_s
        self._rows = PreparedFrames(stages.rows(policy.max_batch, policy.parallel), policy)
        self._engine_works = asyncio.Event()
        self._engine_works.set()
        self._in_hand = InHand(queue, telemetry, traces or NoTraces())
        self._draining = False
        self._loops: tuple[asyncio.Task[None], ...] = ()
        self._errands: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to take jobs."""
        self._loops = (
            asyncio.create_task(self._prepare_ahead(), name="flawline prepare"),
            *(
                asyncio.create_task(self._run_batches(number), name=f"flawline run {number}")
                for number in range(self._parallel)
            ),
            asyncio.create_task(self._extend(), name="flawline extend"),
        )

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
        self._draining = True
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
        if self._engine.stuck:
            return "engine_stuck"
        return "engine_failing" if self._engine.failing else None

    @property
    def jobs_in_hand(self) -> int:
        """Jobs taken and not yet ended."""
        return len(self._in_hand)

    @property
    def engine_busy_s(self) -> float:
        """How long the engine's open call has lasted; 0 while it is idle."""
        return self._engine.busy_s

    async def _prepare_ahead(self) -> None:
        while leases := await self._queue.lease(await self._rows.until_free()):
            for lease in leases:
                await self._take_up(lease)
            await self._engine_works.wait()

    async def _take_up(self, lease: Lease) -> None:
        suspect = lease.deliveries > 1
        if suspect:
            await self._in_hand.take_alone(lease)
        else:
            self._in_hand.take(lease)
        if self._engine.failing:
            await self._in_hand.hand_back(lease)
            return
        self._spawn(self._prepare(lease, *self._rows.take_row()))
        if suspect:
            await self._in_hand.until_idle()

    async def _prepare(self, lease: Lease, row: int, pixels: NDArray[np.uint8]) -> None:
        outcome: JobOutcome
        trail = self._stages.trail()
        try:
            prepared = await asyncio.get_running_loop().run_in_executor(
                self._threads.prepare, self._stages.prepare, lease, row, pixels, trail
            )
        except TooLate:
            outcome = Expired()
        except PictureError as error:
            outcome = PictureRefused(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - logged, and only this picture pays
            outcome = failure_of(lease, "prepare", error)
        else:
            if isinstance(prepared, Prepared):
                await self._put(prepared)
                return
            outcome = prepared
        self._rows.give_back([row])
        await self._in_hand.resolve(lease, outcome, trail)

    async def _put(self, prepared: Prepared) -> None:
        if self._engine.failing:
            self._rows.give_back([prepared.row])
            await self._in_hand.hand_back(prepared.lease)
            return
        self._rows.put(prepared)

    async def _run_batches(self, number: int) -> None:
        while True:
            await self._rows.until_some()
            batch, expired, cut_because = self._rows.cut(
                self._clock.monotonic_s(), self._engine.expected_s
            )
            # Before anything is waited for: what is not gathered could be handed back meanwhile.
            images = self._rows.gather(batch, number)
            for picture in expired:
                await self._in_hand.resolve(picture.lease, Expired(), picture.trail)
            if batch:
                self._telemetry.batch_ran(len(batch), cut_because)
                await self._run(batch, images)

    async def _run(self, batch: Sequence[Prepared], images: NDArray[np.uint8]) -> None:
        """Run a batch, or the parts of it that do run; images: uint8 [N, 1, height, width]."""
        parts = [range(len(batch))]
        while parts:
            part = parts.pop()
            pictures, inputs = batch[part.start : part.stop], images[part.start : part.stop]
            started_s = self._clock.monotonic_s()
            try:
                output = await self._engine.infer(inputs)
            except Exception as error:  # noqa: BLE001 - logged, once the culprit is found
                self._stages.inferred(pictures, started_s)
                if len(part) > 1:
                    logger.warning("batch_failed size=%d: halving it", len(part))
                    parts.extend(reversed(halves(part)))
                    continue
                failed = failure_of(pictures[0].lease, "inference", error)
                if await self._engine.fails_on_anything(inputs):
                    rest = [batch[i] for later in reversed(parts) for i in later]
                    await self._stand_by([*pictures, *rest], inputs)
                    break
                await self._in_hand.resolve(pictures[0].lease, failed, pictures[0].trail)
            else:
                self._stages.inferred(pictures, started_s)
                self._spawn(self._finish(pictures, output))

    async def _stand_by(self, pictures: Sequence[Prepared], image: NDArray[np.uint8]) -> None:
        """Hand back what is in hand, which another worker may do, until the engine works again."""
        found_first = self._engine_works.is_set()
        if found_first:
            logger.error("engine_failing: it fails on an empty frame too")
            self._engine_works.clear()
        prepared = self._rows.take_all()
        for picture in reversed([*pictures, *prepared]):  # each is put in front of the others
            await self._in_hand.hand_back(picture.lease)
        if not found_first:
            await self._engine_works.wait()
            return
        await self._engine.until_it_works(image)
        logger.warning("engine_works")
        self._engine_works.set()

    async def _finish(self, pictures: Sequence[Prepared], output: RawOutput) -> None:
        loop = asyncio.get_running_loop()
        for i, picture in enumerate(pictures):
            outcome: JobOutcome
            row = RawOutput(output.boxes_xyxy[i], output.scores[i])
            try:
                outcome = await loop.run_in_executor(
                    self._threads.finish, self._stages.finish, picture, row
                )
            except Exception as error:  # noqa: BLE001 - logged, and only this picture pays
                outcome = failure_of(picture.lease, "postprocess", error)
            await self._in_hand.resolve(picture.lease, outcome, picture.trail)

    async def _extend(self) -> None:
        while self._extend_every_s is not None:
            await pause(self._clock, self._extend_every_s)
            held = self._in_hand.leases
            if held and not self._engine.stuck:
                await self._queue.extend(held)
        await asyncio.Event().wait()

    def _spawn(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
