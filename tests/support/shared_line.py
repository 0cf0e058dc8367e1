"""An api in the test's own process, and worker processes, around a Redis: what faults are tried on."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

import light_worker
from fakes import RecordingTelemetry
from pictures import expected_score, numbered
from redis.asyncio import Redis
from rig import MODEL
from tiny_artifact import tiny_manifest

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.application.inspector import InspectionRequest, Inspector, InspectorLimits
from flawline.application.models import RolledOutModels, ServingModel
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.values import Inspection, Verdict
from flawspec.decoding import DecodeLimits


@dataclass
class SharedLine:
    """`async with` it; workers are killed at the end if the test did not."""

    options: RedisQueueOptions
    batch_s: float = 0.0
    workers: list[BaseProcess] = field(default_factory=list)

    async def __aenter__(self) -> SharedLine:
        clock = SystemClock()
        self.telemetry = RecordingTelemetry()
        self.queue = RedisQueue(self.options, clock)
        self._intake = ThreadPoolExecutor(1)
        recipes = RecipeBook((default_recipe(tiny_manifest()),))
        model = ServingModel(
            MODEL,
            recipes,
            self.queue,
            fault=lambda: None if self.queue.reachable else "queue_unavailable",
        )
        self.inspector = Inspector(
            models=RolledOutModels(model),
            clock=clock,
            telemetry=self.telemetry,
            answers=self.queue.answers(600.0),
            limits=InspectorLimits(DecodeLimits()),
            intake=self._intake,
        )
        await self.queue.start()
        self.inspector.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()
        await self.queue.close()
        self._intake.shutdown()

    def hire(self, count: int = 1) -> None:
        self.workers += [light_worker.spawn(self.options, self.batch_s) for _ in range(count)]

    def kill(self, number: int) -> None:
        """kill -9, and another takes its place."""
        self.workers[number].kill()
        self.workers[number].join()
        self.workers[number] = light_worker.spawn(self.options, self.batch_s)

    async def inspect(self, number: int, deadline_ms: int = 30_000, **options: Any) -> Inspection:
        """Raises AssertionError when the answer is a verdict on another picture."""
        request = InspectionRequest(
            numbered(number % 400), part_id=str(number), deadline_ms=deadline_ms, **options
        )
        started_s = time.monotonic()
        inspection = await self.inspector.inspect(request)
        assert time.monotonic() - started_s < deadline_ms / 1000 + 2
        assert inspection.part_id == str(number)
        if inspection.verdict is not Verdict.UNDEFINED:
            wrong = inspection.detections[0].score - expected_score(number % 400)
            assert abs(wrong) < 1e-4, "the answer to another picture"
        return inspection

    async def until_served(self, limit_s: float = 10.0) -> None:
        """Until an inspection gets a verdict again."""
        ends_s = time.monotonic() + limit_s
        while time.monotonic() < ends_s:
            try:
                if (await self.inspect(1, deadline_ms=500)).verdict is Verdict.NOT_OK:
                    return
            except Exception:  # noqa: BLE001, PERF203 - it is not served yet
                await asyncio.sleep(0.05)
        raise AssertionError(f"no verdict within {limit_s} s")

    async def replies_given(self, client: Redis) -> int:
        """How many outcomes were ever sent to this api."""
        key = f"{self.options.namespace}:replies:{self.queue.name}"
        return (await client.xinfo_stream(key))["entries-added"]

    async def keys_left(self, client: Redis) -> set[str]:
        """All keys of the queue but empty streams, the bell and the drain rate."""
        left = set()
        for key in [key.decode() async for key in client.scan_iter(f"{self.options.namespace}:*")]:
            empty = await client.type(key) == b"stream" and await client.xlen(key) == 0
            if not empty and not key.endswith((":bell", ":resolved", ":takers")):
                left.add(key.removeprefix(f"{self.options.namespace}:"))
        return left
