"""A worker process that starts in milliseconds: everything real but the engine.

It is forked from a server that has imported everything, so that a test can kill many.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rig import MODEL
from tiny_artifact import boxes_and_scores, tiny_manifest

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.application.job import JobOutcome
from flawline.application.stages import Stages
from flawline.application.worker import BatchWorker
from flawline.core.batching import BatchPolicy
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.values import RawOutput
from flawspec.decoding import DecodeLimits

T = TypeVar("T")


class LightEngine:
    """Says what the tiny artifact says, after `batch_s`; a white picture kills the process."""

    def __init__(self, batch_s: float) -> None:
        self._batch_s = batch_s

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        return await self.run(lambda: images, lambda output: output)

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        images = made()
        if any(int(image.min()) == 255 for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(self._batch_s)
        return used(boxes_and_scores(images))


class SilentTelemetry:
    def batch_ran(self, size: int, cut_because: str) -> None: ...

    def engine_called(self, duration_s: float, failed: bool) -> None: ...

    def job_taken(self, deliveries: int) -> None: ...

    def job_resolved(self, outcome: JobOutcome) -> None: ...


async def work(options: RedisQueueOptions, batch_s: float) -> None:
    clock, manifest = SystemClock(), tiny_manifest()
    queue = RedisQueue(options, clock)
    pipeline = InspectionPipeline(manifest, DecodeLimits())
    worker = BatchWorker(
        queue=queue,
        engine=LightEngine(batch_s),
        stages=Stages(pipeline, RecipeBook((default_recipe(manifest),)), MODEL.ref, clock),
        clock=clock,
        telemetry=SilentTelemetry(),
        policy=BatchPolicy(8),
        stall_limit_s=5.0,
        extend_every_s=options.lease_s / 3,
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await queue.start()
    worker.start()
    await told.wait()
    await worker.drain(5.0)
    await worker.stop()
    await queue.close()


def run(options: RedisQueueOptions, batch_s: float) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the life of the process
    asyncio.run(work(options, batch_s))


def spawn(options: RedisQueueOptions, batch_s: float = 0.0) -> BaseProcess:
    """A worker process, started; the caller ends it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["light_worker"])
    process = context.Process(target=run, args=(options, batch_s), daemon=True)
    process.start()
    return process
