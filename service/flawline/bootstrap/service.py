"""What inspects behind the protocols: embedded, or one api among several on a shared queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.memory_tickets import MemoryTickets
from flawline.adapters.prometheus import (
    InspectionMetrics,
    Known,
    LineMetrics,
    ModelMetrics,
    show_model,
)
from flawline.application.fallback import FallbackQueue
from flawline.application.hasty_answers import HastyAnswers
from flawline.application.inspection_log import InspectionLog
from flawline.application.inspector import Inspector, InspectorLimits
from flawline.application.lane import Lane
from flawline.application.line_watch import LineWatch
from flawline.application.loaded_models import LoadedModels
from flawline.application.models import ModelControl, RolledOutModels, ServingModel
from flawline.application.open_work import OpenWork
from flawline.application.ports import (
    AnswerMemory,
    InspectionFeed,
    JobIntake,
    TicketMemory,
    Traces,
)
from flawline.application.proving import Prover
from flawline.application.raw_inference import RawInference, RawLimits
from flawline.application.request import DEFAULT_LINE
from flawline.application.statistics import Statistics
from flawline.application.tickets import Tickets
from flawline.bootstrap.lanes import LaneMaker
from flawline.bootstrap.parts import Base, Pools
from flawline.bootstrap.repository import FileRepository
from flawline.bootstrap.starting import started
from flawline.bootstrap.tracing import traces_of
from flawline.core.values import Inspection, ModelInfo
from flawline.settings import FlawlineSettings

if TYPE_CHECKING:
    from flawline.adapters.redis_queue import RedisQueue

logger = logging.getLogger(__name__)

# A request is answered by its deadline; what it leaves behind is gone a moment later.
_AFTER_THE_LAST_DEADLINE_S = 1.0
# Once all is answered, so long the last answers may take to be kept for those who come back.
_KEEP_ANSWERS_S = 2.0
# What a shared memory that hangs may cost of a usual deadline; the rest is for the queue and to inspect here.
_PATIENCE_SHARE = 0.25
# Beyond its own limit: the queue is looked at every second.
_NOTICED_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that inspects, without the protocols; `start` it once, then `stop` it.

    models: as protocols show and change them. loaded: the same where they are in this process,
    which alone can give out an engine; raw: requests for those engines.
    """

    inspector: Inspector
    models: ModelControl
    loaded: LoadedModels | None
    raw: RawInference | None
    statistics: Statistics
    feed: InspectionFeed
    tickets: Tickets
    telemetry_registry: CollectorRegistry
    _fallback: Lane | None
    _shared: RedisQueue | None
    _pools: Pools
    _traces: Traces
    _drain_timeout_s: float

    @property
    def model(self) -> ModelInfo:
        """The stable one."""
        return self.models.stable.info

    @property
    def fell_back(self) -> bool:
        """Whether a model here computes on the CPU although another device was asked for."""
        lanes = () if self.loaded is None else self.loaded.lanes
        return any(lane.engine.fell_back for lane in lanes)

    async def start(self) -> None:
        """Load the model if it is run here, run it, then take work. Raises StartupError."""
        if self.loaded is not None:
            await started(self.loaded.start)
        if self._fallback is not None:
            await started(self._fallback.load)
            self._fallback.start()
        if self._shared is not None:
            await self._shared.start()
        self.inspector.open()

    async def stop(self) -> None:
        """Finish what was accepted, in bounded time, and end the threads."""
        if not await self.inspector.drain(self._drain_timeout_s):
            logger.warning("drain_timeout limit_s=%g", self._drain_timeout_s)
        await self.tickets.settle(_KEEP_ANSWERS_S)
        if self.loaded is not None:
            await self.loaded.close()
        if self._fallback is not None:
            await self._fallback.stop()
        if self._shared is not None:
            await self._shared.close()
        await self._traces.close()
        self._pools.close()


def build_service(settings: FlawlineSettings) -> Service:
    """Put the parts together; nothing runs yet. Raises StartupError."""
    base = Base.of(settings, traces_of(settings, "flawline-api"))
    return _embedded(base) if settings.queue == "memory" else _scaled_out(base)


def _embedded(base: Base) -> Service:
    settings, lanes, metrics = base.settings, LaneMaker(base), _inspection_metrics(base)
    model_metrics = ModelMetrics(base.registry, metrics)
    model_metrics.show_model(base.model)
    models = LoadedModels(
        lanes.lane(base.artifact),
        FileRepository(base, lanes),
        prover=Prover(base.clock, settings.model_load_timeout_s, settings.max_batch),
        telemetry=model_metrics,
        max_loaded=settings.max_loaded_models,
        leave_s=settings.max_deadline_ms / 1000 + _AFTER_THE_LAST_DEADLINE_S,
        allowed=settings.allows_model_control,
    )
    lanes.watch(lambda: models.lanes)
    base.queue_metrics.watch(models.depth_of, models.oldest_age_s, settings.queue_capacity)
    feed = MemoryFeed(settings.watch_buffer)
    answers = MemoryAnswers(settings.idempotency_s, base.clock)
    work = OpenWork()
    inspector = _inspector(base, models, metrics, answers, feed, work=work)
    raw = RawInference(
        models,
        statistics=base.statistics,
        clock=base.clock,
        check_ready=inspector.check_ready,
        work=work,
        limits=RawLimits(
            max_batch=settings.max_batch,
            capacity=max(settings.queue_capacity, settings.max_batch),
            deadline_ms=settings.deadline_ms,
            max_deadline_ms=settings.max_deadline_ms,
        ),
    )
    return _service(base, inspector, models, feed, loaded=models, raw=raw)


def _scaled_out(base: Base) -> Service:
    shared, metrics = base.shared_queue(), _inspection_metrics(base)
    show_model(base.registry, base.model)
    answers = shared.answers(base.settings.idempotency_s)
    feed = shared.feed(base.settings.watch_buffer)
    if base.settings.queue_fallback == "refuse":
        models = _rolled_out(base, shared, shared, fault=lambda: shared.fault)
        inspector = _inspector(base, models, metrics, answers, feed)
        return _service(base, inspector, models, feed, shared=shared)
    lanes = LaneMaker(base)
    local = lanes.lane(base.artifact)
    lanes.watch(lambda: (local,))
    queue = FallbackQueue(shared, local.queue, base.clock, lambda: shared.fault is None)
    models = _rolled_out(
        base, shared, queue, fault=lambda: local.worker.fault() if shared.fault else None
    )
    hasty = HastyAnswers(
        answers,
        base.clock,
        patience_s=base.settings.deadline_ms / 1000 * _PATIENCE_SHARE,
        pause_s=base.settings.queue_timeout_s + _NOTICED_WITHIN_S,
    )
    inspector = _inspector(base, models, metrics, hasty, feed, degraded=lambda: shared.fault)
    base.queue_metrics.watch_fallback(lambda: float(shared.fault is not None))
    return _service(base, inspector, models, feed, fallback=local, shared=shared)


def _inspection_metrics(base: Base) -> InspectionMetrics:
    lines = (*base.settings.lines, DEFAULT_LINE)
    return InspectionMetrics(base.registry, Known(lines, base.recipes.names, base.model.labels))


def _rolled_out(
    base: Base, shared: RedisQueue, queue: JobIntake, *, fault: Callable[[], str | None]
) -> RolledOutModels:
    model = ServingModel(base.model, base.recipes, queue, fault)
    return RolledOutModels(model, lambda: _served(base.model, shared.announced))


def _tickets(base: Base, shared: RedisQueue | None) -> Tickets:
    """Kept here, and with a shared queue there too: a Redis that is away loses no answer of ours."""
    settings = base.settings
    memories: list[TicketMemory] = [
        MemoryTickets(settings.async_result_s, settings.async_results, base.clock)
    ]
    if shared is not None:
        memories.append(shared.tickets(settings.async_result_s))
    return Tickets(memories, base.clock)


def _served(own: ModelInfo, announced: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    """The model of the api's manifest, then others that workers serve; with how many serve each."""
    models = {own.sha256: replace(own, workers=0)}
    for info in announced:
        known = models.get(info.sha256, replace(info, workers=0))
        models[info.sha256] = replace(known, workers=(known.workers or 0) + 1)
    return tuple(models.values())


def _inspector(
    base: Base,
    models: ModelControl,
    metrics: InspectionMetrics,
    answers: AnswerMemory,
    feed: InspectionFeed,
    *,
    degraded: Callable[[], str | None] = lambda: None,
    work: OpenWork | None = None,
) -> Inspector:
    settings = base.settings

    def classes_of(sha256: str) -> tuple[str, ...]:
        found = (info.labels for info in models.loaded() if info.sha256 == sha256)
        return next(found, base.model.labels)

    watch = LineWatch(settings.lines, classes_of, settings.line_options, base.clock, metrics)
    LineMetrics(base.registry, watch.figures)
    inspector = Inspector(
        models=models,
        clock=base.clock,
        telemetry=metrics,
        answers=answers,
        limits=InspectorLimits(base.limits, settings.deadline_ms, settings.max_deadline_ms),
        intake=base.pools.intake,
        degraded=degraded,
        watch=watch,
        log=InspectionLog(settings.log_inspections),
        traces=base.traces,
        publish=lambda inspection: _publish(base.statistics, feed, inspection),
        work=work,
    )
    metrics.watch(
        lambda: float(inspector.open_inspections), lambda: float(inspector.readiness().ready)
    )
    return inspector


def _publish(statistics: Statistics, feed: InspectionFeed, inspection: Inspection) -> None:
    statistics.inspected(inspection)
    feed.publish(inspection)


def _service(
    base: Base,
    inspector: Inspector,
    models: ModelControl,
    feed: InspectionFeed,
    *,
    loaded: LoadedModels | None = None,
    raw: RawInference | None = None,
    fallback: Lane | None = None,
    shared: RedisQueue | None = None,
) -> Service:
    return Service(
        inspector=inspector,
        models=models,
        loaded=loaded,
        raw=raw,
        statistics=base.statistics,
        feed=feed,
        tickets=_tickets(base, shared),
        telemetry_registry=base.registry,
        _fallback=fallback,
        _shared=shared,
        _pools=base.pools,
        _traces=base.traces,
        _drain_timeout_s=base.settings.drain_timeout_s,
    )
