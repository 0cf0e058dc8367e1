"""What callers see of each fault, and how late: the table of docs/redis.md.

python benchmarks/faults.py prints it, with the p99 of how far answers came after their deadline (goal: 50 ms). Callers
ask over HTTP, one after the other, while something is done to real processes: an api, workers and a Redis. Only the
engine is small, and a stand-in where it is to fail. Needs redis-server, and the extra `dev`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from pictures import numbered, quarters
from redis_process import RedisProcess
from server_process import FlawlineProcess, ServerProcess, WorkerProcess
from swallowing_proxy import SwallowingProxy
from tiny_artifact import write_tiny_artifact

HEAD = """| fault | it lasted | answers | from first to last without verdict | p99 late |
|---|---|---|---|---|"""
WHITE = quarters((255, 255, 255, 255))
CALLERS = 6
PAUSE_S = 0.05
SLOW = "slow=0.05"  # so that a worker always holds something
CALM_S = 1.5
CALM_WITHIN_S = 60.0
SETTINGS = {
    "lease_s": "1.0",
    "engine_stall_s": "1.0",
    "queue_timeout_s": "0.5",
    "frame_checks": "off",
}


@dataclass
class Line:
    """What runs; the faults are done to it."""

    artifact: Path
    api: ServerProcess
    workers: list[FlawlineProcess] = field(default_factory=list)
    redis: RedisProcess | None = None
    proxy: SwallowingProxy | None = None
    spares: list[FlawlineProcess] = field(default_factory=list)

    async def ask(self, picture: bytes, deadline_ms: int) -> None:
        """One inspection, whatever comes of it."""
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"{self.api.url}/v1/inspections?deadline_ms={deadline_ms}"
            await client.post(url, content=picture)


@dataclass(frozen=True)
class Fault:
    """begin: does it. end: takes it back after `lasts_s`.

    workers: 0 where the api inspects by itself. engine: words for engine_stand_in.py; healthy: how many of the workers
    have none of it. spares: workers that are frozen, since starting one while callers ask would hold these up.
    """

    name: str
    begin: Callable[[Line], Awaitable[object]]
    end: Callable[[Line], Awaitable[object]] | None = None
    lasts_s: float = 5.0
    workers: int = 2
    engine: str | None = None
    healthy: int = 0
    spares: int = 0
    fallback: str = "refuse"


@dataclass(frozen=True)
class Answer:
    """What a caller got, in one word or two; asked_s: on the monotonic clock."""

    asked_s: float
    took_s: float
    word: str


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deadline-ms", type=int, default=300)
    parser.add_argument("--only", default="", help="faults whose name holds this")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {CALLERS} callers; {SETTINGS}\n")
    print(HEAD)
    for fault in FAULTS:
        if options.only in fault.name:
            print(row(fault, *await tried(fault, options.deadline_ms), options.deadline_ms))


async def tried(fault: Fault, deadline_ms: int) -> tuple[list[Answer], float]:
    """The answers from the beginning of the fault on, and how long it lasted."""
    async with running(fault) as line:
        answers: list[Answer] = []
        over = asyncio.Event()
        asking = [
            asyncio.create_task(ask(line, deadline_ms, answers, over)) for _ in range(CALLERS)
        ]
        await until_calm(answers, time.monotonic())
        began_s = time.monotonic()
        begun = asyncio.ensure_future(fault.begin(line))
        if fault.end is not None:
            await asyncio.sleep(fault.lasts_s)
            await fault.end(line)
        await begun
        ended_s = time.monotonic()
        await until_calm(answers, ended_s)
        over.set()
        await asyncio.gather(*asking)
        there = [answer for answer in answers if answer.asked_s + answer.took_s >= began_s]
        return there, ended_s - began_s


async def ask(line: Line, deadline_ms: int, answers: list[Answer], over: asyncio.Event) -> None:
    url = f"{line.api.url}/v1/inspections?deadline_ms={deadline_ms}"
    async with httpx.AsyncClient(timeout=60) as client:
        while not over.is_set():
            asked_s = time.monotonic()
            response = await client.post(url, content=numbered(len(answers) % 400))
            took_s = time.monotonic() - asked_s
            answers.append(Answer(asked_s, took_s, word_of(response)))
            await asyncio.sleep(PAUSE_S)


def word_of(response: httpx.Response) -> str:
    if response.is_success:
        return "verdict"
    problem = response.json()
    why = problem.get("reason", problem["code"]) if response.status_code == 503 else problem["code"]
    return f"{response.status_code} {why}"


async def until_calm(answers: list[Answer], from_s: float) -> None:
    """Until every answer of a while after that moment was a verdict."""
    ends_s = from_s + CALM_WITHIN_S
    while time.monotonic() < ends_s:
        since_s = max(from_s, time.monotonic() - CALM_S)
        last = [answer.word for answer in answers if answer.asked_s > since_s]
        if time.monotonic() - since_s >= CALM_S and set(last) == {"verdict"}:
            return
        await asyncio.sleep(0.1)
    sys.exit(f"not calm within {CALM_WITHIN_S:g} s: {Counter(answer.word for answer in answers)}")


def row(fault: Fault, answers: list[Answer], lasted_s: float, deadline_ms: int) -> str:
    words = Counter(answer.word for answer in answers)
    said = ", ".join(f"{count} {word}" for word, count in words.most_common())
    without = [answer for answer in answers if answer.word != "verdict"]
    ends_s = max((answer.asked_s + answer.took_s for answer in without), default=0.0)
    trouble_s = ends_s - min((answer.asked_s for answer in without), default=0.0)
    late_ms = [max(0.0, answer.took_s * 1000 - deadline_ms) for answer in answers]
    p99_ms = statistics.quantiles(late_ms, n=100)[98]
    lasted = f"{lasted_s:.1f} s" if lasted_s > 1 else "at once"
    return f"| {fault.name} | {lasted} | {said} | {trouble_s:.1f} s | {p99_ms:.0f} ms |"


@asynccontextmanager
async def running(fault: Fault) -> AsyncIterator[Line]:
    """An api, as many workers as the fault needs, and a Redis behind a proxy if there are any."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        artifact = write_tiny_artifact(folder)
        settings, redis, proxy = dict(SETTINGS), None, None
        if fault.workers:
            redis = RedisProcess(folder, appendonly="yes")
            stack.callback(redis.kill)
            proxy = await stack.enter_async_context(SwallowingProxy(redis.port))
            settings |= {"queue": f"redis://127.0.0.1:{proxy.port}/0"}
        engine = None if fault.workers else fault.engine
        api = await asyncio.to_thread(
            ServerProcess, artifact, engine=engine, queue_fallback=fault.fallback, **settings
        )
        stack.callback(ended, api)
        line = Line(artifact, api, redis=redis, proxy=proxy)

        engines = [fault.engine] * (fault.workers + fault.spares)
        engines[fault.workers - fault.healthy : fault.workers] = [None] * fault.healthy
        for engine in engines:
            worker = WorkerProcess(artifact, engine=engine, **settings)
            stack.callback(ended, worker)
            line.workers.append(worker)
        for worker in line.workers:
            await asyncio.to_thread(worker.ready)
        line.workers, line.spares = line.workers[: fault.workers], line.workers[fault.workers :]
        for worker in line.spares:
            worker.signal(signal.SIGSTOP)
        yield line


def ended(process: FlawlineProcess) -> None:
    if process.runs:
        process.kill()


async def kill_redis(line: Line) -> None:
    await asyncio.to_thread(line.redis.kill)


async def start_redis(line: Line) -> None:
    await asyncio.to_thread(line.redis.start)


async def set_memory(line: Line, limit: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.redis.port)
    writer.write(f"CONFIG SET maxmemory {limit}\r\n".encode())
    await reader.readline()
    writer.close()


async def nothing(_: Line) -> None: ...


async def no_memory(line: Line) -> None:
    await set_memory(line, "1")


async def all_memory(line: Line) -> None:
    await set_memory(line, "0")


async def poison(line: Line) -> None:
    """Until the picture is given up; a spare worker takes the place of each that it kills."""
    asking = asyncio.create_task(line.ask(WHITE, 60_000))
    while not asking.done():
        for worker in [worker for worker in line.workers if not worker.runs]:
            line.workers.remove(worker)
            line.workers.append(line.spares.pop())
            line.workers[-1].signal(signal.SIGCONT)
        await asyncio.sleep(0.05)


async def see_white(line: Line) -> None:
    """Enough pictures that each of two workers gets some."""
    await asyncio.gather(*(line.ask(WHITE, 300) for _ in range(8)))


def at_once(act: Callable[[Line], None]) -> Callable[[Line], Awaitable[None]]:
    async def do(line: Line) -> None:
        act(line)

    return do


def to_worker(number: signal.Signals) -> Callable[[Line], Awaitable[None]]:
    return at_once(lambda line: line.workers[0].signal(number))


KILL, STOP, GO, TERM = map(
    to_worker, (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM)
)
FREEZE, THAW = at_once(lambda line: line.redis.freeze()), at_once(lambda line: line.redis.thaw())
CUT, HEAL = at_once(lambda line: line.proxy.cut()), at_once(lambda line: line.proxy.heal())
FAULTS = (
    Fault("none", nothing, nothing),
    Fault("one of two workers is killed (`kill -9`)", KILL, engine=SLOW),
    Fault("one of two workers is frozen", STOP, GO, engine=SLOW),
    Fault("one of two workers is told to stop", TERM, engine=SLOW),
    Fault("Redis is killed and comes back with its file", kill_redis, start_redis, lasts_s=2.0),
    Fault("Redis hangs", FREEZE, THAW),
    Fault("Redis hangs, `fallback = local`", FREEZE, THAW, fallback="local"),
    Fault("the network to Redis swallows everything", CUT, HEAL),
    Fault("Redis is out of memory", no_memory, all_memory, lasts_s=2.0),
    Fault("a picture kills its workers", poison, engine="poison", spares=3),
    Fault("the engine is stuck (one process)", see_white, nothing, workers=0, engine="stuck=5"),
    Fault(
        "the engine fails each call (one process)",
        see_white,
        nothing,
        workers=0,
        engine="failing=5",
    ),
    Fault(
        "the engine of one of two workers fails each call",
        see_white,
        nothing,
        engine="failing=5",
        healthy=1,
    ),
)


if __name__ == "__main__":
    asyncio.run(main())
