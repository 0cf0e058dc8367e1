"""Callers that stay connected and ask in turns of a moment: what differs by less than a machine's moods can be told.

`python -m serving.turns` reads lines of JSON: first the loads, one a service; then turns, each the number of a load,
how many answers come before the clock runs, and how many while it does. It prints what each turn gave, and ends with
its input. A turn is a count of answers, not a time: what is half done when a clock stops would be a per cent of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from serving.doors import Count, counts, http_requests
from serving.generator import Load
from serving.lanes import Lane, open_lane
from serving.pictures import Kind
from serving.running import NoFigures
from serving.servers import PYTHONPATH

LIMIT_S = 60.0


@dataclass(frozen=True)
class Turn:
    """What one gave. answers: with those that warmed up and those that were open at its end."""

    frames_per_s: float
    answers: int
    failures: int


class Callers:
    """Of one service: as many connections as the load has clients."""

    def __init__(self, lanes: list[Lane], read: list[Count], expected: list[int]) -> None:
        self._lanes = lanes
        self._read = read
        self._expected = expected
        self._next = 0

    @classmethod
    async def connected(cls, load: Load) -> Callers:
        """To a service that listens."""
        kind, artifact = Kind.read(Path(load.kind_folder)), Path(load.artifact)
        pictures = kind.encoded()
        requests = http_requests(load.door, pictures, artifact, f"127.0.0.1:{load.port}")
        lanes = [await open_lane(load.door, load.port, requests, 1) for _ in range(load.clients)]
        return cls(lanes, counts(load.door, pictures, artifact), list(kind.counts))

    async def turn(self, warm: int, frames: int) -> Turn:
        """Ask until so many are answered, `warm` before the clock runs; wait for what is open; read it all."""
        answered: list[tuple[int, bytes | None]] = []
        moments_s: list[float] = []
        over, waiting = asyncio.Event(), set(self._lanes)

        def ask(lane: Lane) -> None:
            self._next = (self._next + 1) % len(self._expected)
            picture = self._next

            def done(body: bytes | None, why: str) -> None:
                moments_s.append(time.perf_counter())
                answered.append((picture, body))
                if len(answered) < warm + frames and not why:
                    ask(lane)
                    return
                waiting.remove(lane)
                if not waiting:
                    over.set()

            lane.ask(picture, done)

        for lane in self._lanes:
            ask(lane)
        await over.wait()
        failures = sum(not self._is_right(*one) for one in answered)
        if len(answered) < warm + frames:
            return Turn(0.0, len(answered), max(failures, 1))
        took_s = moments_s[warm + frames - 1] - moments_s[warm - 1]
        return Turn(frames / took_s, len(answered), failures)

    def _is_right(self, picture: int, body: bytes | None) -> bool:
        try:
            return body is not None and self._read[picture](body) == self._expected[picture]
        except (KeyError, ValueError):
            return False


class Asking:
    """The process of the callers, for whoever starts it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def turn(self, number: int, warm: int, frames: int) -> Turn:
        """Of the load with this number. Raises NoFigures."""
        writer, reader = self._process.stdin, self._process.stdout
        if writer is None or reader is None:
            raise NoFigures("the callers have no pipes")
        writer.write(json.dumps([number, warm, frames]).encode() + b"\n")
        try:
            line = await asyncio.wait_for(reader.readline(), LIMIT_S)
        except asyncio.TimeoutError as error:
            raise NoFigures(f"a turn took more than {LIMIT_S:g} s") from error
        if not line:
            raise NoFigures("the callers have ended")
        return Turn(**json.loads(line))


@asynccontextmanager
async def asking(loads: list[Load]) -> AsyncIterator[Asking]:
    """Callers of several services in one process, which stay connected."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.turns"),
        stdin=pipe,
        stdout=pipe,
        env=os.environ | {"PYTHONPATH": PYTHONPATH},
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps([load.to_json() for load in loads]).encode() + b"\n")
    try:
        yield Asking(process)
    except BaseException:
        if process.returncode is None:
            process.kill()  # it may be in the middle of a turn that does not end
        raise
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _answer() -> None:
    loads = json.loads(await asyncio.to_thread(sys.stdin.readline))
    callers = [await Callers.connected(Load.from_json(load)) for load in loads]
    while line := await asyncio.to_thread(sys.stdin.readline):
        number, warm, frames = json.loads(line)
        turn: dict[str, Any] = asdict(await callers[number].turn(warm, frames))
        print(json.dumps(turn), flush=True)


def main() -> None:
    uvloop.run(_answer())


if __name__ == "__main__":
    main()
