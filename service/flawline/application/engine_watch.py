"""The engine as a worker uses it: known to be well, stuck or failing."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from flawline.application.deadline import pause
from flawline.application.ports import Clock, InferenceEngine, WorkerTelemetry
from flawline.core.call_times import CallTimes
from flawline.core.postprocess import require_rows
from flawline.core.values import RawOutput

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
        self._calls = itertools.count()
        self._open_since_s: dict[int, float] = {}  # by call, the oldest first
        self._times = CallTimes()
        self._failing = False

    @property
    def expected_s(self) -> float:
        """How long a call takes of late, see CallTimes."""
        return self._times.expected_s(self._clock.monotonic_s())

    @property
    def busy_s(self) -> float:
        """How long the oldest open call has lasted; 0 while it is idle."""
        since_s = next(iter(self._open_since_s.values()), None)
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    @property
    def stuck(self) -> bool:
        """Whether a call is taking too long."""
        return self.busy_s > self._stall_limit_s

    @property
    def failing(self) -> bool:
        """Whether it failed on an empty frame the last time one was tried."""
        return self._failing

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        """As InferenceEngine. Raises what the engine raises, or UnusableOutput."""
        call, failed = next(self._calls), False
        self._open_since_s[call] = started_s = self._clock.monotonic_s()
        try:
            output = await self._engine.infer(images)
            require_rows(output, len(images))
        except Exception:
            failed = True
            raise
        finally:
            del self._open_since_s[call]
            ended_s = self._clock.monotonic_s()
            self._times.add(ended_s - started_s, ended_s)
            self._telemetry.engine_called(ended_s - started_s, failed)
        return output

    async def fails_on_anything(self, image: NDArray[np.uint8]) -> bool:
        """Whether it fails on an empty frame of that shape too; uint8 [1, 1, height, width]."""
        try:
            await self.infer(np.zeros_like(image))
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
