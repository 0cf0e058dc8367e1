"""The parts that a server and a worker have in common, made from settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

import flawline
from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.onnx_engine import Company, CoreBinding, Devices, OnnxEngine
from flawline.adapters.prometheus import (
    EngineMetrics,
    QueueMetrics,
    show_build,
    show_engine,
    show_model,
)
from flawline.adapters.system_clock import SystemClock
from flawline.application.crew import Crew
from flawline.application.ports import EXTENSIONS_PER_LEASE, InferenceEngine, JobSource, Traces
from flawline.application.stages import Stages
from flawline.application.statistics import Statistics
from flawline.application.traces import NoTraces
from flawline.application.worker import BatchWorker
from flawline.bootstrap.cores import cores_for, usable_cores
from flawline.bootstrap.starting import StartupError
from flawline.core.batching import BatchPolicy
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.values import ModelInfo
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits
from flawspec.errors import ArtifactError

if TYPE_CHECKING:
    from flawline.adapters.redis_queue import QueueState, RedisQueue

_MOST_DECODE_THREADS = 4
_MOST_LONE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads by purpose, so that none waits behind another's work; decode_threads: how many `prepare` has."""

    decode_threads: int
    prepare: ThreadPoolExecutor
    intake: ThreadPoolExecutor

    @classmethod
    def of(cls, decode_threads: int) -> Pools:
        """decode_threads: 0 for one a core, at most four."""
        many = decode_threads or min(usable_cores(), _MOST_DECODE_THREADS)
        return cls(many, _pool(many, "prepare"), _pool(1, "intake"))

    def close(self) -> None:
        """End them; what has not begun is dropped."""
        for pool in (self.prepare, self.intake):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Base:
    """What everything else is made from."""

    settings: FlawlineSettings
    artifact: ArtifactFile
    model: ModelInfo
    recipes: RecipeBook
    limits: DecodeLimits
    clock: SystemClock
    registry: CollectorRegistry
    queue_metrics: QueueMetrics
    traces: Traces
    statistics: Statistics
    pools: Pools
    company: Company

    @classmethod
    def of(cls, settings: FlawlineSettings, traces: Traces | None = None) -> Base:
        """Find the artifact and read its manifest. Raises StartupError."""
        try:
            artifact = ArtifactFile.find(settings.artifact, settings.artifact_sha256)
        except ArtifactError as error:
            raise StartupError(str(error)) from error
        registry, model = CollectorRegistry(), artifact.info()
        recipes = recipes_of(artifact, settings)
        ProcessCollector(registry=registry)
        show_build(registry, flawline.__version__)
        return cls(
            settings=settings,
            artifact=artifact,
            model=model,
            recipes=recipes,
            limits=DecodeLimits(max_bytes=settings.max_body_bytes, max_pixels=settings.max_pixels),
            clock=SystemClock(),
            registry=registry,
            queue_metrics=QueueMetrics(registry),
            traces=traces or NoTraces(),
            statistics=Statistics(),
            pools=Pools.of(settings.decode_threads),
            company=Company(),
        )

    @property
    def engine_threads(self) -> int:
        """How many an engine computes with."""
        return self.settings.engine_threads or usable_cores()

    @property
    def engine_parallel(self) -> int:
        """How many batches are computed side by side; on a CPU none without a thread, or a picture, of its own."""
        settings, threads = self.settings, self.engine_threads
        if settings.engine_device != "cpu":
            return settings.engine_parallel or 1
        return min(settings.engine_parallel or threads, threads, settings.max_batch)

    @property
    def batches(self) -> int:
        """How many batches are in an engine's hands at a time: one more than it computes.

        Another device computes while that one is prepared. On a CPU it waits for the first thread that
        is done, which so need not wait for the event loop.
        """
        return self.engine_parallel + 1

    @property
    def engine_callers(self) -> int:
        """How many threads an engine is called from."""
        return self.engine_parallel if self.settings.engine_device == "cpu" else self.batches

    @property
    def _spreads(self) -> bool:
        """Whether batches alone leave threads that decode without work."""
        return self.engine_callers < self.pools.decode_threads

    @property
    def _engine_cores(self) -> tuple[int, ...]:
        """Those that the engine's threads are bound to: where each batch computes on one thread, and all cores do."""
        settings = self.settings
        alone = settings.engine_device == "cpu" and self.engine_parallel == self.engine_threads
        return cores_for(self.engine_parallel) if alone and settings.engine_pinned else ()

    @property
    def engine_lone_threads(self) -> int:
        """What a single picture is computed with while there is no other.

        Threads that may share a core wait for each other longer than they gain: none more where they are not bound,
        unless told.
        """
        told = self.settings.engine_lone_threads
        bound = len(self._engine_cores) or 1
        return min(told or min(bound, _MOST_LONE_THREADS), self.engine_threads)

    def pipeline(self, artifact: ArtifactFile) -> InspectionPipeline:
        """The stages around that artifact's network."""
        return InspectionPipeline(artifact.manifest, self.limits, self.settings.tiling)

    def engine(self, artifact: ArtifactFile | None = None) -> OnnxEngine:
        """One more engine, for the artifact started with or another one."""
        settings, artifact = self.settings, artifact or self.artifact
        return OnnxEngine(
            artifact.path,
            artifact.sha256,
            artifact.manifest,
            max_batch=settings.max_batch,
            threads=self.engine_threads,
            parallel=self.engine_parallel,
            callers=self.engine_callers,
            lone_threads=self.engine_lone_threads,
            company=self.company,
            binding=CoreBinding(self._engine_cores),
            devices=Devices(
                settings.engine_device,
                may_fall_back=settings.engine_fallback == "cpu",
                cache_dir=settings.engine_cache_dir,
            ),
        )

    def workers(
        self, queue: JobSource, engines: Sequence[OnnxEngine], *, lease_s: float | None = None
    ) -> tuple[BatchWorker, ...]:
        """One for each engine; lease_s: when leases of that queue run out, None for never."""
        metrics = EngineMetrics(self.registry)
        show_model(self.registry, self.model)
        show_engine(
            self.registry,
            self.settings.engine_device,
            self.settings.engine_threads,
            lambda: any(engine.fell_back for engine in engines),
        )
        pipeline = self.pipeline(self.artifact)
        stages = Stages(
            pipeline, self.recipes, self.model.ref, self.clock, self.settings.frame_limits
        )
        crew = Crew(self.clock)
        workers = tuple(
            self.worker(queue, engine, stages, metrics, lease_s=lease_s, crew=crew)
            for engine in engines
        )
        metrics.watch(
            lambda: float(sum(worker.jobs_in_hand for worker in workers)),
            lambda: max(worker.engine_busy_s for worker in workers),
            lambda: float(any(worker.fault() == "engine_failing" for worker in workers)),
        )
        return workers

    def worker(
        self,
        queue: JobSource,
        engine: InferenceEngine,
        stages: Stages,
        metrics: EngineMetrics,
        *,
        lease_s: float | None = None,
        crew: Crew | None = None,
    ) -> BatchWorker:
        """Feeds that engine; lease_s: when leases of that queue run out, None for never. crew: those of its process."""
        return BatchWorker(
            queue=queue,
            engine=engine,
            stages=stages,
            clock=self.clock,
            telemetry=metrics,
            traces=self.traces,
            policy=BatchPolicy(self.settings.max_batch, self.engine_parallel),
            batches=self.batches,
            stall_limit_s=self.settings.engine_stall_s,
            spread=self.pools.prepare if self._spreads else None,
            shared=lease_s is not None,
            extend_every_s=None if lease_s is None else lease_s / EXTENSIONS_PER_LEASE,
            crew=crew,
        )

    def shared_queue(self) -> RedisQueue:
        """The queue in Redis, with its metrics."""
        # Here: the client's library takes a sixth of the time to start, and most machines have no use for it.
        from flawline.bootstrap.shared_queue import queue_in_redis

        settings = self.settings
        queue = queue_in_redis(settings, self.clock, self.queue_metrics.event)

        def now(figure: Callable[[QueueState], float]) -> float:
            """Not as it was before Redis went away; a maximum over processes passes over what is no number."""
            return figure(queue.state) if queue.reachable else math.nan

        self.queue_metrics.watch(
            lambda priority: now(lambda state: state.depth[priority]),
            lambda priority: now(lambda state: state.oldest_age_s[priority]),
            settings.queue_capacity,
        )
        self.queue_metrics.watch_shared(
            lambda: now(lambda state: state.leased),
            lambda: queue.state.dead_letters,
            lambda: float(queue.reachable),
        )
        return queue


def _pool(threads: int, purpose: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=f"flawline-{purpose}")


def recipes_of(artifact: ArtifactFile, settings: FlawlineSettings) -> RecipeBook:
    """What decides on pictures that this artifact looked at."""
    return RecipeBook((default_recipe(artifact.manifest).with_tiling(settings.tiling),))
