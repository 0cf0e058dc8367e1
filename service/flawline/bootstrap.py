"""Where concrete classes meet: settings in, running parts out.

Starting and stopping stand here in their order, and nowhere else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.grpc_api import GrpcServer
from flawline.adapters.http_server import HttpServer
from flawline.adapters.logs import set_up_logs
from flawline.adapters.memory_queue import MemoryQueue
from flawline.adapters.onnx_engine import OnnxEngine
from flawline.adapters.prometheus import PrometheusTelemetry
from flawline.adapters.rest import create_app
from flawline.adapters.system_clock import SystemClock
from flawline.application.inspector import Inspector, InspectorLimits
from flawline.application.request import DEFAULT_LINE
from flawline.application.stages import Stages
from flawline.application.worker import BatchWorker, WorkerThreads
from flawline.core.batching import BatchPolicy
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.values import ModelInfo
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits
from flawspec.errors import ArtifactError

logger = logging.getLogger(__name__)

# gRPC itself answers larger messages with RESOURCE_EXHAUSTED, which reads as "busy, try again": a
# picture that is too large is to reach us, and be refused as a bad one.
_MESSAGE_ROOM = 2
_MESSAGE_OVERHEAD_BYTES = 64 * 1024
# Once all accepted inspections are answered, only those who read answers slowly are waited for.
_HANG_UP_S = 2.0
_MOST_DECODE_THREADS = 4


class StartupError(Exception):
    """The service cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Pools:
    """Threads by purpose, so that none waits behind another's work."""

    prepare: ThreadPoolExecutor
    finish: ThreadPoolExecutor
    intake: ThreadPoolExecutor

    @classmethod
    def of(cls, decode_threads: int) -> _Pools:
        many = decode_threads or min(os.cpu_count() or 1, _MOST_DECODE_THREADS)
        return cls(_pool(many, "prepare"), _pool(1, "finish"), _pool(1, "intake"))

    def close(self) -> None:
        for pool in (self.prepare, self.finish, self.intake):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a service starts and stops."""

    worker: BatchWorker
    queue: MemoryQueue
    engine: OnnxEngine
    pools: _Pools


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that inspects, without the protocols; `start` it once, then `stop` it."""

    inspector: Inspector
    telemetry_registry: CollectorRegistry
    model: ModelInfo
    _parts: _Parts
    _drain_timeout_s: float

    async def start(self) -> None:
        """Load the model, run it once, then take work. Raises StartupError."""
        try:
            await self._parts.engine.start()
        except ArtifactError as error:
            raise StartupError(str(error)) from error
        self._parts.worker.start()
        self.inspector.open()

    async def stop(self) -> None:
        """Finish what was accepted, in bounded time, and end the threads."""
        if not await self.inspector.drain(self._drain_timeout_s):
            logger.warning("drain_timeout limit_s=%g", self._drain_timeout_s)
        await self._parts.worker.stop()
        await self._parts.queue.close()
        self._parts.engine.close()
        self._parts.pools.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A service that listens."""

    service: Service
    rest_port: int
    grpc_port: int


def build_service(settings: FlawlineSettings) -> Service:
    """Put the parts together; nothing runs yet. Raises StartupError."""
    try:
        artifact = ArtifactFile.find(settings.artifact, settings.artifact_sha256)
    except ArtifactError as error:
        raise StartupError(str(error)) from error
    clock, registry, model = SystemClock(), CollectorRegistry(), artifact.info()
    recipes = RecipeBook((default_recipe(artifact.manifest),))
    limits = DecodeLimits(max_bytes=settings.max_body_bytes, max_pixels=settings.max_pixels)
    stages = Stages(InspectionPipeline(artifact.manifest, limits), recipes, model.ref, clock)
    queue = MemoryQueue(settings.queue_capacity, clock, line_capacity=settings.most_of_one_line)
    telemetry = _telemetry(settings, registry, model, queue)
    telemetry.expect(recipes.names, model.labels)
    engine = _engine(settings, artifact)
    pools = _Pools.of(settings.decode_threads)
    worker = BatchWorker(
        queue=queue,
        engine=engine,
        stages=stages,
        clock=clock,
        telemetry=telemetry,
        threads=WorkerThreads(pools.prepare, pools.finish),
        policy=BatchPolicy(settings.max_batch),
        stall_limit_s=settings.engine_stall_s,
    )
    inspector = Inspector(
        queue=queue,
        clock=clock,
        telemetry=telemetry,
        recipes=recipes,
        model=model,
        limits=InspectorLimits(limits, settings.deadline_ms, settings.max_deadline_ms),
        intake=pools.intake,
        fault=worker.fault,
    )
    parts = _Parts(worker, queue, engine, pools)
    return Service(inspector, registry, model, parts, settings.drain_timeout_s)


def _engine(settings: FlawlineSettings, artifact: ArtifactFile) -> OnnxEngine:
    return OnnxEngine(
        artifact.path,
        artifact.sha256,
        artifact.manifest,
        max_batch=settings.max_batch,
        threads=settings.engine_threads,
    )


def _telemetry(
    settings: FlawlineSettings, registry: CollectorRegistry, model: ModelInfo, queue: MemoryQueue
) -> PrometheusTelemetry:
    ProcessCollector(registry=registry)
    telemetry = PrometheusTelemetry(registry, {*settings.lines, DEFAULT_LINE})
    telemetry.show_model(model)
    telemetry.watch_queue(lambda: queue.depth, lambda: queue.oldest_age_s)
    return telemetry


@asynccontextmanager
async def running(settings: FlawlineSettings) -> AsyncIterator[Running]:
    """The service behind REST and gRPC, listening and ready; leaving stops it. Raises StartupError.

    It listens before the model is loaded, so that a taken port shows at once and probes are
    answered.
    """
    service = build_service(settings)
    app = create_app(
        service.inspector,
        service.telemetry_registry,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
    )
    http = HttpServer(app, _HANG_UP_S)
    grpc = GrpcServer(
        service.inspector,
        max_message_bytes=_MESSAGE_ROOM * settings.max_body_bytes + _MESSAGE_OVERHEAD_BYTES,
        default_deadline_ms=settings.deadline_ms,
    )
    # The stack unwinds from its end: not serving, drain and stop the service, then hang up.
    async with AsyncExitStack() as stopping:
        stopping.push_async_callback(http.stop)
        rest_port = await _listening(http.start, settings.host, settings.port, "port")
        stopping.push_async_callback(grpc.stop, _HANG_UP_S)
        grpc_port = await _listening(grpc.start, settings.host, settings.grpc_port, "grpc_port")
        stopping.push_async_callback(service.stop)
        await service.start()
        stopping.callback(grpc.announce_not_serving)
        yield Running(service, rest_port, grpc_port)


async def serve(settings: FlawlineSettings) -> int:
    """Serve until SIGTERM or SIGINT, then stop in bounded time and return the exit code.

    Raises StartupError.
    """
    set_up_logs(settings.log_level)
    # They double the number of series, and nobody asks for them. It holds for the whole process, so it stands here.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    loop, told_to_stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, told_to_stop.set)
    try:
        async with running(settings) as parts:
            logger.info(
                "ready model=%s rest=http://%s:%d grpc=%s:%d",
                parts.service.model.version,
                settings.host,
                parts.rest_port,
                settings.host,
                parts.grpc_port,
            )
            await told_to_stop.wait()
            logger.info("stopping: finishing what was accepted")
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    logger.info("stopped")
    return 0


async def _listening(
    start: Callable[[str, int], Awaitable[int]], host: str, port: int, setting: str
) -> int:
    try:
        return await start(host, port)
    except OSError as error:
        name = f"{setting} (FLAWLINE_{setting.upper()})"
        if error.errno == errno.EADDRINUSE:
            why = f"{name} {port} on {host} is taken: stop what listens there, or choose another."
        else:
            why = f"{name} {port} on {host} cannot be listened on: {error.strerror or error}."
        raise StartupError(why) from error


def _pool(threads: int, purpose: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=f"flawline-{purpose}")
