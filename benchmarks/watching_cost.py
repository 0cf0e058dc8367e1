"""What metrics, frame checks, line watching and the log cost together, as a share of the service's throughput.

PYTHONPATH=benchmarks:service:models python benchmarks/watching_cost.py runs `flawline serve` twice in this process
(two processes of one program already differ by a per cent or two): as it is, with a declared line, its metrics read
every 15 s of its time (as docker/prometheus does) and inspections logged as --log says; and with frame checks, lines
and log off and metrics that count nothing. Callers in a process of their own keep the machine busy over REST. The two
take turns of some tenths of a second, in an order that chance decides: the machine's own moods last longer than that.
Each pair of turns gives a ratio; what is printed is their mean with a 95 % interval: of frames a second, and of this
process's CPU time a frame, which other load moves less. Exits with 1 when either interval reaches the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop
from prometheus_client.exposition import generate_latest

from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.logs import formatter
from flawline.adapters.prometheus import EngineMetrics, InspectionMetrics
from flawline.bootstrap import serving as bootstrap
from flawline.settings import FlawlineSettings
from serving.detector import Detector
from serving.doors import Door
from serving.generator import Load
from serving.pictures import Kind, draw
from serving.turns import Asking, asking

LINE = "line-1"
CALLERS = 8
SIZES = ("200x200", "640x640", "2048x1000")
WARM_FRAMES = 800
"""Past those that a line learns from."""
SCRAPE_EVERY_S = 15.0
SCRAPE_AFTER_S = 0.1
"""Well within a turn."""
BAR = 0.03


def _nothing(*_: Any) -> None:
    """Stands for what counts."""


class UncountedInspections(InspectionMetrics):
    """Counts nothing while inspections are answered."""

    inspected = rejected = alarm_raised = _nothing


class UncountedEngine(EngineMetrics):
    """Counts nothing while batches run."""

    batch_ran = engine_called = job_taken = job_resolved = _nothing


@dataclass
class Half:
    """One of the two services, and for how long its metrics were not read; None: they never are."""

    running: bootstrap.Running
    unread_s: float | None

    def load(self, kind: Kind, artifact: Path) -> Load:
        """What its callers do."""
        return Load(
            door=Door("http", f"/v1/inspections?line={LINE}", "picture"),
            port=self.running.rest_port,
            kind_folder=str(kind.folder),
            artifact=str(artifact),
            pids=[],
            clients=CALLERS,
            seconds=0.0,
            warm_s=0.0,
            deadline_ms=1e9,
        )

    async def turn(self, asking: Asking, number: int, frames: int) -> tuple[float, float]:
        """Frames a second, and CPU milliseconds a frame of this process."""
        cpu_s, began_s = time.process_time(), time.monotonic()
        scrape = asyncio.create_task(self._read_metrics())
        turn = await asking.turn(number, CALLERS, frames)
        await scrape
        if turn.failures:
            raise SystemExit(f"{turn.failures} of {turn.answers} answers were not right")
        if self.unread_s is not None:
            self.unread_s += time.monotonic() - began_s
        return turn.frames_per_s, (time.process_time() - cpu_s) / turn.answers * 1000

    async def _read_metrics(self) -> None:
        if self.unread_s is not None and self.unread_s >= SCRAPE_EVERY_S:
            self.unread_s -= SCRAPE_EVERY_S
            await asyncio.sleep(SCRAPE_AFTER_S)
            generate_latest(self.running.service.telemetry_registry)


@asynccontextmanager
async def half(watched: bool, log: str) -> AsyncIterator[Half]:
    """A service that listens."""
    common: dict[str, Any] = {"port": 0, "grpc_port": 0, "deadline_ms": 30_000}
    if watched:
        async with bootstrap.running(
            FlawlineSettings(**common, lines=LINE, log_inspections=log)
        ) as running:
            yield Half(running, 0.0)
        return
    with (
        patch("flawline.bootstrap.service.InspectionMetrics", UncountedInspections),
        patch("flawline.bootstrap.lanes.EngineMetrics", UncountedEngine),
    ):
        settings = FlawlineSettings(**common, frame_checks=False, log_inspections="none")
        async with bootstrap.running(settings) as running:
            yield Half(running, None)


async def measure(
    pairs: int, frames: int, seed: int, log: str, size: str, folder: Path
) -> tuple[list[float], list[float], float]:
    """Log ratios of throughput and of CPU, of the watched one to the other; and CPU milliseconds a frame of that."""
    artifact, order = ArtifactFile.find(None, None).path, random.Random(seed)  # noqa: S311
    kind = draw(size, folder, Detector(artifact, 1), folder)
    throughputs, cpus, bare_ms = [], [], []
    async with AsyncExitStack() as stack:
        halves = [await stack.enter_async_context(half(watched, log)) for watched in (True, False)]
        loads = [each.load(kind, artifact) for each in halves]
        callers = await stack.enter_async_context(asking(loads))
        for number, each in enumerate(halves):
            await each.turn(callers, number, WARM_FRAMES)
        for pair in range(pairs):
            found = {n: await halves[n].turn(callers, n, frames) for n in order.sample((0, 1), 2)}
            (per_s, cpu_ms), (bare_per_s, bare_cpu_ms) = found[0], found[1]
            throughputs.append(math.log(per_s / bare_per_s))
            cpus.append(math.log(bare_cpu_ms / cpu_ms))
            bare_ms.append(bare_cpu_ms)
            print(f"\rpair {pair + 1}/{pairs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return throughputs, cpus, statistics.fmean(bare_ms)


def interval(log_ratios: list[float]) -> tuple[float, float, float]:
    """The share that is lost, 1 - ratio, from the mean; and its 95 % interval (normal, of the mean)."""
    mean = statistics.fmean(log_ratios)
    reach = 2.0 * statistics.stdev(log_ratios) / len(log_ratios) ** 0.5  # t for 60 pairs or more
    return tuple(1 - math.exp(value) for value in (mean, mean + reach, mean - reach))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=300, help="of turns, at least 60")
    parser.add_argument("--frames", type=int, default=80, help="of a turn")
    parser.add_argument("--seed", type=int, default=0, help="of the order of turns")
    parser.add_argument(
        "--log", choices=("odd", "all"), default="odd", help="FLAWLINE_LOG_INSPECTIONS"
    )
    parser.add_argument("--size", choices=SIZES, default=SIZES[0], help="of the frames, in px")
    options = parser.parse_args()
    if options.pairs < 60:
        parser.error("--pairs must be 60 or more, or the interval means nothing")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        handler = logging.FileHandler(Path(folder) / "log")
        handler.setFormatter(formatter("json", is_terminal=False))
        logging.getLogger("flawline").addHandler(handler)
        logging.getLogger("flawline").setLevel(logging.INFO)
        throughputs, cpus, bare_ms = uvloop.run(
            measure(
                *(options.pairs, options.frames, options.seed, options.log, options.size),
                Path(folder),
            )
        )
        handler.close()
    print(
        f"{options.pairs} pairs of turns of {options.frames} frames, {os.cpu_count()} cores, ",
        end="",
    )
    print(f"{CALLERS} callers over REST, frames of {options.size}, logged: {options.log}")
    print(
        f"load average {os.getloadavg()[0]:.1f}; without: {bare_ms:.2f} ms of CPU a frame; ", end=""
    )
    print(f"{time.monotonic() - started_s:.0f} s in all")
    for name, log_ratios in (("throughput", throughputs), ("CPU time", cpus)):
        cost, low, high = interval(log_ratios)
        print(f"cost in {name}: {cost:.2%}, 95 % interval {low:.2%} to {high:.2%}")
    sys.exit(max(interval(throughputs)[2], interval(cpus)[2]) >= BAR)


if __name__ == "__main__":
    main()
