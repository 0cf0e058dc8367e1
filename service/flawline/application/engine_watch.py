"""The engine as a worker uses it: known to be well, stuck or failing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from flawline.application.deadline import pause
from flawline.application.ports import Clock, InferenceEngine, NothingToRun, WorkerTelemetry
from flawline.core.call_times import CallTimes
from flawline.core.postprocess import require_rows
from flawline.core.values import RawOutput

T = TypeVar("T")
_TRY_EVERY_S = 1.0


class EngineWatch:
    """Calls one engine.

    A picture on which it fails may be to blame itself, so the engine is then tried on an empty
    frame: one that fails on that too is failing, until an empty frame works again.

    stall_limit_s: a call that takes longer is stuck, until it ends.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        clock: Clock,
        telemetry: WorkerTelemetry,
        stall_limit_s: float,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._telemetry = telemetry
        self._stall_limit_s = stall_limit_s
        self._open: set[_Call[Any]] = set()
        self._one_ended = asyncio.Event()
        self._last_ended_s = 0.0
        self._times = CallTimes()
        self._failing = False

    def expected_s(self, rows: int) -> float:
        """How long a batch of so many rows takes of late, from when it was made until it was used; see CallTimes."""
        return self._times.expected_s(self._clock.monotonic_s(), rows)

    @property
    def busy_s(self) -> float:
        """How long the oldest open call has lasted since it was its turn; 0 while none is open.

        Where it is the turn of none, others are inside, or the engine takes up nothing any more: then since it should
        have been, which is when the last one ended.
        """
        if not self._open:
            return 0.0
        taken_up_s = [call.taken_up_s for call in self._open if call.taken_up_s is not None]
        asked_s = min(call.asked_s for call in self._open)
        since_s = min(taken_up_s) if taken_up_s else max(asked_s, self._last_ended_s)
        return self._clock.monotonic_s() - since_s

    @property
    def running(self) -> int:
        """Calls that the engine has taken up and not ended."""
        return sum(call.taken_up_s is not None for call in self._open)

    async def until_one_ends(self, latest_s: float) -> None:
        """Wait for the next end of a call, until that moment of the monotonic clock; for one who waits at a time."""
        self._one_ended.clear()
        timer = self._clock.call_at(latest_s, self._one_ended.set)
        try:
            await self._one_ended.wait()
        finally:
            timer.cancel()

    @property
    def stuck(self) -> bool:
        """Whether a call is taking too long."""
        return self.busy_s > self._stall_limit_s

    @property
    def failing(self) -> bool:
        """Whether it failed on an empty frame the last time one was tried."""
        return self._failing

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        """As InferenceEngine. Raises what the engine raises, or UnusableOutput."""
        call = _Call(self._clock, made, used)
        self._open.add(call)
        try:
            result = await self._engine.run(call.made, call.used)
        except NothingToRun:
            raise
        except Exception:
            self._ended(call, failed=True)
            raise
        else:
            self._ended(call, failed=False)
        finally:
            self._open.remove(call)
            self._last_ended_s = self._clock.monotonic_s()
            self._one_ended.set()
        return result

    def _ended(self, call: _Call[T], *, failed: bool) -> None:
        now_s = self._clock.monotonic_s()
        moments_s = (call.began_s, call.taken_up_s, now_s)
        began_s = next(moment_s for moment_s in moments_s if moment_s is not None)
        self._times.add(now_s - began_s, now_s, call.size)
        ended_s = now_s if call.ended_s is None else call.ended_s
        self._telemetry.engine_called(ended_s - began_s, failed)

    async def fails_on_anything(self, image: NDArray[np.uint8]) -> bool:
        """Whether it fails on an empty frame of that shape too; uint8 [1, 1, height, width]."""
        try:
            await self.run(lambda: np.zeros_like(image), lambda output: output)
        except Exception:  # noqa: BLE001 - that it failed is the answer; the cause was logged once
            self._failing = True
        else:
            self._failing = False
        return self._failing

    async def until_it_works(self, image: NDArray[np.uint8]) -> None:
        """Try it every so often until it does."""
        while self._failing:
            await pause(self._clock, _TRY_EVERY_S)
            await self.fails_on_anything(image)


class _Call(Generic[T]):
    """The work before and after the network; when it was asked for and taken up, and when the network began and ended.

    The engine's thread tells, and the event loop reads.
    """

    def __init__(
        self,
        clock: Clock,
        made: Callable[[], NDArray[np.uint8]],
        used: Callable[[RawOutput], T],
    ) -> None:
        self._clock = clock
        self._made = made
        self._used = used
        self.size = 0
        self.asked_s = clock.monotonic_s()
        self.taken_up_s: float | None = None
        self.began_s: float | None = None
        self.ended_s: float | None = None

    def made(self) -> NDArray[np.uint8]:
        self.taken_up_s = self._clock.monotonic_s()
        images = self._made()
        self.size = len(images)
        self.began_s = self._clock.monotonic_s()
        return images

    def used(self, output: RawOutput) -> T:
        self.ended_s = self._clock.monotonic_s()
        require_rows(output, self.size)
        return self._used(output)
