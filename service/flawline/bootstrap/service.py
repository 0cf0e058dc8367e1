"""What inspects behind the protocols: embedded, or one api among several on a shared queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.memory_queue import MemoryQueue
from flawline.adapters.onnx_engine import OnnxEngine
from flawline.adapters.prometheus import InspectionMetrics, Known, LineMetrics
from flawline.adapters.redis_queue import RedisQueue
from flawline.application.fallback import FallbackQueue
from flawline.application.inspector import Inspector, InspectorLimits
from flawline.application.line_watch import LineWatch
from flawline.application.ports import InspectionFeed, JobIntake, Traces
from flawline.application.request import DEFAULT_LINE
from flawline.application.worker import BatchWorker
from flawline.bootstrap.parts import Base, Pools, started
from flawline.bootstrap.tracing import traces_of
from flawline.core.values import ModelInfo
from flawline.settings import FlawlineSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _LocalParts:
    """What inspects in this process."""

    queue: MemoryQueue
    engine: OnnxEngine
    worker: BatchWorker

    async def start(self) -> None:
        await started(self.engine)
        self.worker.start()

    async def stop(self) -> None:
        await self.worker.stop()
        await self.queue.close()
        self.engine.close()


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that inspects, without the protocols; `start` it once, then `stop` it."""

    inspector: Inspector
    feed: InspectionFeed
    telemetry_registry: CollectorRegistry
    model: ModelInfo
    _local: _LocalParts | None
    _shared: RedisQueue | None
    _pools: Pools
    _traces: Traces
    _drain_timeout_s: float

    async def start(self) -> None:
        """Load the model if it is run here, run it once, then take work. Raises StartupError."""
        if self._local is not None:
            await self._local.start()
        if self._shared is not None:
            await self._shared.start()
        self.inspector.open()

    async def stop(self) -> None:
        """Finish what was accepted, in bounded time, and end the threads."""
        if not await self.inspector.drain(self._drain_timeout_s):
            logger.warning("drain_timeout limit_s=%g", self._drain_timeout_s)
        if self._local is not None:
            await self._local.stop()
        if self._shared is not None:
            await self._shared.close()
        await self._traces.close()
        self._pools.close()


def build_service(settings: FlawlineSettings) -> Service:
    """Put the parts together; nothing runs yet. Raises StartupError."""
    base = Base.of(settings, traces_of(settings, "flawline-api"))
    if settings.queue == "memory":
        local = _local_parts(base)
        base.queue_metrics.watch(
            lambda: local.queue.depth, lambda: local.queue.oldest_age_s, settings.queue_capacity
        )
        memory_feed = MemoryFeed(settings.watch_buffer)
        inspector = _inspector(base, local.queue, memory_feed, fault=local.worker.fault)
        return _service(base, inspector, memory_feed, local, None)
    shared = base.shared_queue()
    feed = shared.feed(settings.watch_buffer)
    if settings.queue_fallback == "refuse":
        inspector = _inspector(base, shared, feed, fault=lambda: _outage(shared), shared=shared)
        return _service(base, inspector, feed, None, shared)
    local = _local_parts(base)
    queue = FallbackQueue(shared, local.queue, base.clock, lambda: shared.reachable)
    inspector = _inspector(
        base,
        queue,
        feed,
        fault=lambda: None if shared.reachable else local.worker.fault(),
        degraded=lambda: _outage(shared),
        shared=shared,
    )
    base.queue_metrics.watch_fallback(lambda: float(not shared.reachable))
    return _service(base, inspector, feed, local, shared)


def _outage(shared: RedisQueue) -> str | None:
    return None if shared.reachable else "queue_unavailable"


def _local_parts(base: Base) -> _LocalParts:
    settings = base.settings
    queue = MemoryQueue(
        settings.queue_capacity, base.clock, line_capacity=settings.most_of_one_line
    )
    engine = base.engine()
    (worker,) = base.workers(queue, [engine])
    return _LocalParts(queue, engine, worker)


def _inspector(
    base: Base,
    queue: JobIntake,
    feed: InspectionFeed,
    *,
    fault: Callable[[], str | None],
    degraded: Callable[[], str | None] = lambda: None,
    shared: RedisQueue | None = None,
) -> Inspector:
    settings = base.settings
    lines = (*settings.lines, DEFAULT_LINE)
    metrics = InspectionMetrics(base.registry, Known(lines, base.recipes.names, base.model.labels))
    watch = LineWatch(settings.lines, base.clock)
    LineMetrics(base.registry, watch.figures)
    inspector = Inspector(
        queue=queue,
        clock=base.clock,
        telemetry=metrics,
        traces=base.traces,
        answers=(
            MemoryAnswers(settings.idempotency_s, base.clock)
            if shared is None
            else shared.answers(settings.idempotency_s)
        ),
        recipes=base.recipes,
        model=base.model,
        limits=InspectorLimits(base.limits, settings.deadline_ms, settings.max_deadline_ms),
        intake=base.pools.intake,
        fault=fault,
        degraded=degraded,
        served=None if shared is None else lambda: _served(base.model, shared.announced),
        watch=watch,
        publish=feed.publish,
    )
    metrics.watch(
        lambda: float(inspector.open_inspections), lambda: float(inspector.readiness().ready)
    )
    return inspector


def _served(own: ModelInfo, announced: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    """The model of the api's manifest, then others that workers serve; with how many serve each."""
    models = {own.sha256: replace(own, workers=0)}
    for info in announced:
        known = models.get(info.sha256, replace(info, workers=0))
        models[info.sha256] = replace(known, workers=(known.workers or 0) + 1)
    return tuple(models.values())


def _service(
    base: Base,
    inspector: Inspector,
    feed: InspectionFeed,
    local: _LocalParts | None,
    shared: RedisQueue | None,
) -> Service:
    return Service(
        inspector,
        feed,
        base.registry,
        base.model,
        local,
        shared,
        base.pools,
        base.traces,
        base.settings.drain_timeout_s,
    )
