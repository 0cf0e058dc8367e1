"""A worker process: engines fed from a shared queue, and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from prometheus_client import disable_created_metrics

from flawline.adapters.logs import set_up_logs
from flawline.adapters.metrics_server import MetricsServer, Probes
from flawline.application.pulse import Pulse
from flawline.application.worker import BatchWorker
from flawline.bootstrap.door import Door
from flawline.bootstrap.parts import Base
from flawline.bootstrap.starting import StartupError, listening, started, told_to_stop
from flawline.bootstrap.tracing import traces_of
from flawline.settings import FlawlineSettings

if TYPE_CHECKING:
    from flawline.adapters.redis_queue import RedisQueue

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# Nothing here may hold up the event loop for long; a loop that stands so long will not turn again.
_PULSE_LIMIT_S = 15.0
_FAILED_EXIT_CODE = 1


async def work(settings: FlawlineSettings) -> int:
    """Take jobs until SIGTERM or SIGINT, then finish those in hand, hand back the rest, and end.

    Returns the exit code: 1 when a worker failed, so that the process is started anew. Raises
    StartupError.
    """
    if settings.queue == "memory":
        raise StartupError(
            "A worker needs a queue that it shares: set FLAWLINE_QUEUE (--queue) to redis://..."
        )
    set_up_logs(settings.log_level, settings.log_format)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # as in `serve`
    door = Door.of(settings)
    base = Base.of(settings, traces_of(settings, "flawline-worker"))
    door.show_certificate(base.registry)
    queue = base.shared_queue()
    engines = [base.engine() for _ in range(settings.concurrency)]
    workers = base.workers(queue, engines, lease_s=settings.lease_s)
    pulse = Pulse(base.clock, _PULSE_LIMIT_S)
    serving = asyncio.Event()
    probes = Probes(pulse.beats, lambda: _fault(serving, queue, workers))
    metrics = MetricsServer(base.registry, door.lock, probes, door.context())
    # The stack unwinds from its end: finish and hand back, leave the queue, then end the threads.
    async with told_to_stop() as told, AsyncExitStack() as stopping:
        stopping.callback(base.pools.close)
        stopping.callback(asyncio.create_task(_keep_beating(pulse)).cancel)
        stopping.push_async_callback(base.traces.close)
        stopping.callback(metrics.stop)
        port = await listening(metrics.start, settings.host, settings.metrics_port, "metrics_port")
        for engine in engines:
            stopping.callback(engine.close)
            await started(engine.start)
        stopping.push_async_callback(queue.close)
        await queue.start(announce=base.model)
        stopping.push_async_callback(_finish, workers, settings.drain_timeout_s)
        for worker in workers:
            worker.start()
        serving.set()
        logger.info(
            "ready worker=%s model=%s metrics=%s://%s:%d",
            queue.name,
            f"{base.model.name} {base.model.version}",
            "https" if settings.tls_cert_file else "http",
            settings.host,
            port,
        )
        failed = await _until_told(told, workers)
        logger.info("stopping: finishing what is in hand")
    logger.info("stopped")
    return _FAILED_EXIT_CODE if failed else 0


def _fault(serving: asyncio.Event, queue: RedisQueue, workers: Sequence[BatchWorker]) -> str | None:
    """Why no work is done now, in the words of `flawline.core.errors.NotReady`."""
    if not serving.is_set():
        return "starting"
    if not queue.reachable:
        return "queue_unavailable"
    return next((fault for worker in workers if (fault := worker.fault())), None)


async def _keep_beating(pulse: Pulse) -> None:
    while True:
        pulse.beat()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _until_told(told: asyncio.Event, workers: Sequence[BatchWorker]) -> bool:
    """Whether a worker failed before we were told to stop."""
    while not told.is_set():
        if any(worker.fault() == "worker_failed" for worker in workers):
            logger.error("worker_failed")
            return True
        try:
            await asyncio.wait_for(told.wait(), _LOOK_EVERY_S)
        except asyncio.TimeoutError:
            continue
    return False


async def _finish(workers: Sequence[BatchWorker], limit_s: float) -> None:
    done = await asyncio.gather(*(worker.drain(limit_s) for worker in workers))
    if not all(done):
        logger.warning("drain_timeout limit_s=%g: the rest is handed back", limit_s)
    for worker in workers:
        await worker.stop()
