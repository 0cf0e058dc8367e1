"""The load: a process of its own that asks, closed loop or at a camera's cadence, and says how it went.

`python -m serving.generator SPEC` reads a JSON file and prints one JSON object. Answers are kept as bytes while
the clock runs; whether each is real, with the detections that its picture has, is looked at afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from serving import processes
from serving.doors import Door, NotAnAnswer, counts, grpc_requests, http_requests
from serving.lanes import Lane, open_lane
from serving.pictures import Kind

MOST_LANES = 256
ANSWERS_WITHIN_S = 30.0
_CLOSED = "closed"


@dataclass(frozen=True)
class Load:
    """What to do.

    clients: callers that ask again once they are answered; or rate_fps: frames a second, whatever happens.
    frames: end after so many answers instead of after `seconds`. pids: roots of the server's processes.
    """

    door: Door
    port: int
    kind_folder: str
    artifact: str
    pids: list[int]
    seconds: float
    warm_s: float
    deadline_ms: float
    clients: int = 0
    rate_fps: float = 0.0
    frames: int = 0

    def to_json(self) -> str:
        """For `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Load:
        """Of `to_json`."""
        document = json.loads(text)
        return cls(**document | {"door": Door(**document["door"])})


@dataclass(frozen=True)
class Answer:
    """One question's end: seconds on the monotonic clock, what came back, or why nothing did."""

    picture: int
    asked_s: float
    answered_s: float
    body: bytes | None
    why: str


@dataclass
class Costs:
    """CPU seconds so far: the server's processes, the whole machine, this process."""

    server_s: float
    machine_s: float
    own_s: float

    @classmethod
    def now(cls, pids: list[int]) -> Costs:
        """Read from the kernel."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        return cls(processes.cpu_s(pids), processes.machine_cpu_s(), own.ru_utime + own.ru_stime)


class Asking:
    """Lanes that ask, and what they were answered."""

    def __init__(self, load: Load, requests: list[bytes]) -> None:
        self._load = load
        self._requests = requests
        self._lanes: list[Lane] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._opening = 0
        self._open = 0
        self._next = 0
        self._asking = False
        self._over = asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()
        self.answers: list[Answer] = []

    async def begin(self) -> None:
        """Open the lanes of a closed loop, or the first of a camera, and let them ask."""
        closed = self._load.clients > 0
        for _ in range(self._load.clients or 1):
            self._lanes.append(await self._lane(1 if closed else MOST_LANES))
        self._asking = True
        if closed:
            for lane in self._lanes:
                self._ask(lane, self._picture(), time.monotonic(), again=True)
        else:
            loop = asyncio.get_running_loop()
            self._tick(loop.time(), loop)

    async def end(self) -> None:
        """Ask no more, wait for what is open, hang up."""
        self._asking = False
        if self._open or self._waiting:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), ANSWERS_WITHIN_S)
        for lane in self._lanes:
            await lane.close()

    async def _lane(self, most: int) -> Lane:
        return await open_lane(self._load.door, self._load.port, self._requests, most)

    def _picture(self) -> int:
        self._next = (self._next + 1) % len(self._requests)
        return self._next

    def _tick(self, due_s: float, loop: asyncio.AbstractEventLoop) -> None:
        """One frame of the camera; late ones count from when they were due."""
        if not self._asking:
            return
        # uvloop's clock and time.monotonic are the same but for rounding: due is told on the latter.
        late_s = loop.time() - due_s
        self._waiting.append((self._picture(), time.monotonic() - late_s))
        self._serve_waiting()
        due_s += 1 / self._load.rate_fps
        loop.call_at(due_s, self._tick, due_s, loop)

    def _serve_waiting(self) -> None:
        for lane in self._lanes:
            while self._waiting and lane.room > 0:
                picture, due_s = self._waiting.popleft()
                self._ask(lane, picture, due_s, again=False)
        room = MOST_LANES - len(self._lanes) - self._opening
        if self._load.door.transport == "http" and len(self._waiting) > self._opening and room > 0:
            self._opening += 1
            task = asyncio.get_running_loop().create_task(self._one_more())
            self._errands.add(task)

    async def _one_more(self) -> None:
        self._lanes.append(await self._lane(MOST_LANES))
        self._opening -= 1
        self._serve_waiting()

    def _ask(self, lane: Lane, picture: int, asked_s: float, *, again: bool) -> None:
        def done(body: bytes | None, why: str) -> None:
            answered_s = time.monotonic()
            self._open -= 1
            self.answers.append(Answer(picture, asked_s, answered_s, body, why))
            if not again:
                if self._waiting:
                    self._serve_waiting()
            elif self._asking and not why.startswith("connection closed"):
                self._ask(lane, self._picture(), answered_s, again=True)
            if not (self._asking or self._open or self._waiting):
                self._over.set()

        self._open += 1
        lane.ask(picture, done)


async def measure(load: Load, requests: list[bytes]) -> tuple[list[Answer], dict[str, float]]:
    """Warm up, then count: the answers that came within the window, and what it cost."""
    asking = Asking(load, requests)
    await asking.begin()
    await asyncio.sleep(load.warm_s)
    gc.collect()
    gc.disable()  # a collection of our own would look like latency of theirs
    first = len(asking.answers)
    before, began_s = Costs.now(load.pids), time.monotonic()
    # A sleep may end a moment early; another one of the whole length would measure for twice as long.
    while (left_s := began_s + load.seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, 0.05) if load.frames else left_s)
        if load.frames and len(asking.answers) - first >= load.frames:
            break
    after, ended_s = Costs.now(load.pids), time.monotonic()
    memory = processes.memory_mb(load.pids)
    await asking.end()
    gc.enable()
    # A closed loop is judged by what was answered in the window, a camera by what was due in it.
    moment = "answered_s" if load.clients else "asked_s"
    inside = [a for a in asking.answers if began_s <= getattr(a, moment) < ended_s]
    return inside, {
        "seconds": ended_s - began_s,
        "server_cpu_s": after.server_s - before.server_s,
        "machine_cpu_s": after.machine_s - before.machine_s,
        "generator_cpu_s": after.own_s - before.own_s,
        "rss_mb": memory[0],
        "pss_mb": memory[1],
    }


def figures(load: Load, answers: list[Answer], costs: dict[str, float]) -> dict[str, Any]:
    """What is written down of one measurement."""
    kind = Kind.read(Path(load.kind_folder))
    read = counts(load.door, kind.encoded(), Path(load.artifact))
    failures: Counter[str] = Counter()
    latencies_ms = []
    for answer in answers:
        if answer.body is None:
            failures[answer.why] += 1
            continue
        try:
            found = read[answer.picture](answer.body)
        except (NotAnAnswer, KeyError, ValueError) as error:
            failures[f"{type(error).__name__}: {error}"[:120]] += 1
            continue
        if found == kind.counts[answer.picture]:
            latencies_ms.append((answer.answered_s - answer.asked_s) * 1000)
        else:
            failures["wrong number of detections"] += 1
    late = sum(latency_ms > load.deadline_ms for latency_ms in latencies_ms)
    real = len(latencies_ms)
    quantiles = np.percentile(latencies_ms, [50, 95, 99, 100]) if real else [None] * 4
    return {
        "asked": len(answers),
        "answers": real,
        "failures": dict(failures),
        "frames_per_s": real / costs["seconds"],
        **dict(zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), map(_float, quantiles), strict=True)),
        "deadline_misses": late + sum(failures.values()),
        "cpu_ms_a_frame": costs["server_cpu_s"] / real * 1000 if real else None,
        "generator_cpu_ms_a_frame": costs["generator_cpu_s"] / real * 1000 if real else None,
        **costs,
    }


def _float(number: Any) -> float | None:
    return None if number is None else float(number)


def main() -> None:
    load = Load.from_json(Path(sys.argv[1]).read_text("utf-8"))
    pictures = Kind.read(Path(load.kind_folder)).encoded()
    make = http_requests if load.door.transport == "http" else grpc_requests
    rest = (f"127.0.0.1:{load.port}",) if load.door.transport == "http" else ()
    requests = make(load.door, pictures, Path(load.artifact), *rest)
    answers, costs = uvloop.run(measure(load, requests))
    print(json.dumps(figures(load, answers, costs)))


if __name__ == "__main__":
    main()
