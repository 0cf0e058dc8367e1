"""One engine for several users: each call has its turn, and no more are inside than the engine takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flawline.application.ports import Clock, InferenceEngine, StartableEngine
from flawline.core.values import RawOutput


class SharedEngine:
    """Hands the engine to `parallel` calls at a time, in the order of asking.

    A caller that gives up waits no longer, but what it began keeps its turn until it has ended: an
    engine cannot be interrupted.
    """

    def __init__(self, engine: StartableEngine, clock: Clock, parallel: int = 1) -> None:
        self._engine = engine
        self._clock = clock
        self._turns = _Turns(parallel)

    @property
    def fell_back(self) -> bool:
        """Whether it runs on a device that was not asked for."""
        return self._engine.fell_back

    async def start(self) -> None:
        """Load the network and run it once. Raises flawspec's ArtifactError."""
        await self._engine.start()

    def close(self) -> None:
        """Give back what it holds."""
        self._engine.close()

    def counted(self, executed: Callable[[int, float], None]) -> InferenceEngine:
        """The engine as one of its users has it; executed: told size and seconds of each batch."""
        return _Counted(self, executed)

    async def infer(
        self, images: NDArray[np.uint8], ran: Callable[[float, float], object] | None = None
    ) -> RawOutput:
        """Run a batch, uint8 [N, 1, height, width], once it is its turn.

        ran: told from when to when, in monotonic seconds.
        """
        await self._turns.take()
        call = asyncio.create_task(self._run(images, ran))
        call.add_done_callback(lambda _: self._turns.give_back())
        return await asyncio.shield(call)

    async def _run(
        self, images: NDArray[np.uint8], ran: Callable[[float, float], object] | None
    ) -> RawOutput:
        begun_s = self._clock.monotonic_s()
        output = await self._engine.infer(images)
        if ran is not None:
            ran(begun_s, self._clock.monotonic_s())
        return output


class _Turns:
    """So many at a time, first come, first served (asyncio.Semaphore lets newcomers pass, before 3.11)."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        if self._free:
            self._free -= 1
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            await given
        except asyncio.CancelledError:
            if not given.cancelled():  # it was given just then
                self.give_back()
            raise

    def give_back(self) -> None:
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return
        self._free += 1


class _Counted:
    def __init__(self, shared: SharedEngine, executed: Callable[[int, float], None]) -> None:
        self._shared = shared
        self._executed = executed

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        count = len(images)
        return await self._shared.infer(
            images, lambda begun_s, ended_s: self._executed(count, ended_s - begun_s)
        )
