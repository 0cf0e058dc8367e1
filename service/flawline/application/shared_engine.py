"""One engine for several users: each call has its turn, and no more are inside than the engine takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flawline.application.ports import Clock, InferenceEngine, StartableEngine
from flawline.core.values import RawOutput

T = TypeVar("T")


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
        """Load the network and run it. Raises flawspec's ArtifactError."""
        await self._engine.start()

    def close(self) -> None:
        """Give back what it holds."""
        self._engine.close()

    def counted(self, executed: Callable[[int, float], None]) -> InferenceEngine:
        """The engine as one of its users has it; executed: told size and seconds of each batch."""
        return _Counted(self, executed)

    async def run(
        self,
        made: Callable[[], NDArray[np.uint8]],
        used: Callable[[RawOutput], T],
        ran: Callable[[int, float, float], object] | None = None,
    ) -> T:
        """As InferenceEngine, once it is its turn.

        ran: told the size of the batch, and from when to when the network ran, in monotonic seconds.
        """
        return await asyncio.shield(await self._begun(made, used, ran))

    async def infer(
        self,
        images: NDArray[np.uint8],
        ran: Callable[[int, float, float], object] | None = None,
    ) -> RawOutput:
        """Run a batch, uint8 [N, 1, height, width], as `run`."""
        return await asyncio.shield(await self.begun(images, ran))

    async def begun(
        self,
        images: NDArray[np.uint8],
        ran: Callable[[int, float, float], object] | None = None,
    ) -> asyncio.Task[RawOutput]:
        """As `infer`, but return once it is its turn: for who must know when a call has ended that he gave up."""
        return await self._begun(lambda: images, lambda output: output, ran)

    async def _begun(
        self,
        made: Callable[[], NDArray[np.uint8]],
        used: Callable[[RawOutput], T],
        ran: Callable[[int, float, float], object] | None,
    ) -> asyncio.Task[T]:
        await self._turns.take()
        call = asyncio.create_task(self._run(made, used, ran))
        call.add_done_callback(self._turn_ended)
        return call

    async def _run(
        self,
        made: Callable[[], NDArray[np.uint8]],
        used: Callable[[RawOutput], T],
        ran: Callable[[int, float, float], object] | None,
    ) -> T:
        size, began_s, ended_s = 0, 0.0, 0.0

        def noted() -> NDArray[np.uint8]:
            nonlocal size, began_s
            images = made()
            size, began_s = len(images), self._clock.monotonic_s()
            return images

        def noting(output: RawOutput) -> T:
            nonlocal ended_s
            ended_s = self._clock.monotonic_s()
            return used(output)

        result = await self._engine.run(noted, noting)
        if ran is not None:
            ran(size, began_s, ended_s)
        return result

    def _turn_ended(self, call: asyncio.Task[Any]) -> None:
        self._turns.give_back()
        if not call.cancelled():
            call.exception()  # looked at, in case the one who asked has gone


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

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        return await self._shared.run(made, used, self._ran)

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        return await self._shared.infer(images, self._ran)

    def _ran(self, size: int, began_s: float, ended_s: float) -> None:
        self._executed(size, ended_s - began_s)
