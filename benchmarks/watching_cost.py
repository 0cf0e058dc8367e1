"""What metrics, frame checks, line watching and the log cost together, as a share of throughput.

python benchmarks/watching_cost.py runs two Inspectors on one engine in this process: one with all of it (metrics
read every 15 s of its time, as docker/prometheus does; inspections logged as --log says), one with none. They take
turns of a moment each, in an order that chance decides. Each pair of turns gives a ratio; what is printed is their
mean with a 95 % interval. Other load on the machine falls on both halves of a pair alike; the time that this
process computed (CPU time, all threads) is hardly moved by it. There is no HTTP around it, which would make the
share smaller. Exits with 1 when the interval of the cost in CPU time reaches the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.logs import formatter
from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.memory_queue import MemoryQueue
from flawline.adapters.onnx_engine import OnnxEngine
from flawline.adapters.prometheus import EngineMetrics, InspectionMetrics, Known, LineMetrics
from flawline.adapters.system_clock import SystemClock
from flawline.application.inspection_log import InspectionLog, Logged
from flawline.application.inspector import InspectionRequest, Inspector, InspectorLimits
from flawline.application.line_watch import LineWatch
from flawline.application.models import RolledOutModels, ServingModel
from flawline.application.ports import Telemetry, WorkerTelemetry
from flawline.application.stages import Stages
from flawline.application.worker import BatchWorker, WorkerThreads
from flawline.core.batching import BatchPolicy
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits

LINE = "line-1"
PICTURES = 64
CALLERS = 16
SCRAPE_EVERY_S = 15.0
BAR = 0.03


class Silent(Telemetry, WorkerTelemetry):
    """Counts nothing: the bodies of the protocols are empty."""


@dataclass
class Half:
    """One Inspector, and what it has cost so far."""

    inspector: Inspector
    registry: CollectorRegistry | None
    unread_s: float = 0.0

    async def turn(self, pictures: list[bytes], count: int) -> tuple[float, float]:
        """Wall and CPU seconds that so many inspections take."""
        numbers = iter(range(count))
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(self._call(pictures, numbers) for _ in range(CALLERS)))
        self.unread_s += time.perf_counter() - wall_s
        if self.registry is not None and self.unread_s > SCRAPE_EVERY_S:
            self.unread_s = 0.0
            generate_latest(self.registry)
        return time.perf_counter() - wall_s, time.process_time() - cpu_s

    async def _call(self, pictures: list[bytes], numbers: range) -> None:
        for number in numbers:
            picture = pictures[number % len(pictures)]
            request = InspectionRequest(
                picture, line=LINE, part_id=f"part-{number}", deadline_ms=60_000
            )
            await self.inspector.inspect(request)


@asynccontextmanager
async def half(
    artifact: ArtifactFile, engine: OnnxEngine, watched: bool, logged: Logged = "none"
) -> AsyncIterator[Half]:
    """An embedded service without its protocols; watched: with metrics and checks, or with none."""
    settings, clock, limits = FlawlineSettings(lines=LINE), SystemClock(), DecodeLimits()
    recipes, info = RecipeBook((default_recipe(artifact.manifest),)), artifact.info()
    registry = CollectorRegistry() if watched else None
    metrics = engine_metrics = Silent()
    watch = None
    if registry is not None:
        metrics = InspectionMetrics(registry, Known((LINE,), recipes.names, info.labels))
        engine_metrics = EngineMetrics(registry)
        watch = LineWatch((LINE,), info.labels, settings.line_options, clock, metrics)
        LineMetrics(registry, watch.figures)
    queue = MemoryQueue(256, clock)
    pools = [ThreadPoolExecutor(1) for _ in range(3)]
    pipeline = InspectionPipeline(artifact.manifest, limits)
    frame_limits = settings.frame_limits if watched else None
    worker = BatchWorker(
        queue=queue,
        engine=engine,
        stages=Stages(pipeline, recipes, info.ref, clock, frame_limits),
        clock=clock,
        telemetry=engine_metrics,
        threads=WorkerThreads(pools[0], pools[1]),
        policy=BatchPolicy(8),
        stall_limit_s=60.0,
    )
    inspector = Inspector(
        models=RolledOutModels(ServingModel(info, recipes, queue, worker.fault)),
        clock=clock,
        telemetry=metrics,
        answers=MemoryAnswers(600.0, clock),
        limits=InspectorLimits(limits, max_deadline_ms=60_000),
        intake=pools[2],
        watch=watch,
        log=InspectionLog(logged),
    )
    worker.start()
    inspector.open()
    try:
        yield Half(inspector, registry)
    finally:
        await worker.stop()
        for pool in pools:
            pool.shutdown()


def pictures_drawn() -> list[bytes]:
    encoded = []
    for seed in range(PICTURES):
        stream = io.BytesIO()
        Image.fromarray(generate_frame(seed).grey).save(stream, "JPEG")
        encoded.append(stream.getvalue())
    return encoded


async def measure(
    pairs: int, count: int, seed: int, logged: Logged
) -> tuple[list[float], list[float], float]:
    """Log ratios of wall and of CPU seconds, watched over not; and milliseconds of CPU for one that is not."""
    artifact, order, pictures = ArtifactFile.find(None, None), random.Random(seed), pictures_drawn()  # noqa: S311
    engine = OnnxEngine(artifact.path, artifact.sha256, artifact.manifest, max_batch=8, threads=1)
    await engine.start()
    walls, cpus, bare_s = [], [], 0.0
    with_all, with_none = half(artifact, engine, True, logged), half(artifact, engine, False)
    async with with_all as watched, with_none as bare:
        for turn in (watched, bare):
            await turn.turn(pictures, count)  # warm
        for _ in range(pairs):
            seconds = {}
            for each in order.sample((watched, bare), 2):
                seconds[id(each)] = await each.turn(pictures, count)
            (wall, cpu), (bare_wall, bare_cpu) = seconds[id(watched)], seconds[id(bare)]
            walls.append(math.log(wall / bare_wall))
            cpus.append(math.log(cpu / bare_cpu))
            bare_s += bare_cpu
    engine.close()
    return walls, cpus, bare_s / (pairs * count) * 1000


def interval(log_ratios: list[float]) -> tuple[float, float, float]:
    """Cost in throughput, 1 - 1 / ratio, from the mean; and its 95 % interval (normal, of the mean)."""
    mean = statistics.fmean(log_ratios)
    reach = 2.1 * statistics.stdev(log_ratios) / len(log_ratios) ** 0.5  # t for some 20 pairs
    return tuple(1 - math.exp(-value) for value in (mean, mean - reach, mean + reach))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=30, help="of turns, at least 10")
    parser.add_argument("--count", type=int, default=160, help="inspections in a turn")
    parser.add_argument("--seed", type=int, default=0, help="of the order of turns")
    parser.add_argument(
        "--log", choices=("odd", "all"), default="odd", help="FLAWLINE_LOG_INSPECTIONS"
    )
    options = parser.parse_args()
    if options.pairs < 10:
        parser.error("--pairs must be 10 or more, or the interval means nothing")
    with tempfile.TemporaryDirectory() as folder:
        handler = logging.FileHandler(Path(folder) / "log")
        handler.setFormatter(formatter("json", is_terminal=False))
        logging.getLogger("flawline").addHandler(handler)
        logging.getLogger("flawline").setLevel(logging.INFO)
        walls, cpus, bare_ms = asyncio.run(
            measure(options.pairs, options.count, options.seed, options.log)
        )
        handler.close()
    load = os.getloadavg()[0]
    print(f"{options.pairs} pairs of turns of {options.count} inspections, {os.cpu_count()} cores")
    print(f"logged: {options.log}")
    print(f"load average {load:.1f}; without: {bare_ms:.2f} ms of CPU an inspection")
    for name, log_ratios in (("wall time", walls), ("CPU time", cpus)):
        cost, low, high = interval(log_ratios)
        print(f"cost by {name}: {cost:.2%} of throughput, 95 % interval {low:.2%} to {high:.2%}")
    sys.exit(interval(cpus)[2] >= BAR)


if __name__ == "__main__":
    main()
