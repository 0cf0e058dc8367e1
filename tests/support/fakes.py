"""Stand-ins for the ports: as short as the ports, and driven by the test."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tiny_artifact import boxes_and_scores

from flawline.application.job import JobOutcome
from flawline.core.line_figures import Alarm
from flawline.core.values import Inspection, ModelInfo, RawOutput

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class ManualTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def monotonic_s(self) -> float:
        return self._now_s

    def utc_now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._now_s - 1000.0)

    def call_at(self, moment_s: float, callback: Callable[[], object]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (moment_s, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass and make the calls that became due."""
        self.jump(seconds)
        while self._timers and self._timers[0][0] <= self._now_s:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.callback()

    def jump(self, seconds: float) -> None:
        """Let time pass unnoticed, as when an event loop is kept busy."""
        self._now_s += seconds

    @property
    def open_timers(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._timers)


class FakeEngine:
    """Says of a picture what the tiny artifact says; may be held, broken, or allergic to some pictures."""

    def __init__(self) -> None:
        self.batches: list[NDArray[np.uint8]] = []
        self.started: asyncio.Queue[int] = asyncio.Queue()
        self.fails_on: Callable[[NDArray[np.uint8]], bool] = lambda image: False
        self.distort: Callable[[RawOutput], RawOutput] = lambda output: output
        self.load_error: Exception | None = None
        self.loads = 0
        self.closed = False
        self.fell_back = False
        self._free = asyncio.Event()
        self._free.set()
        self._turns = asyncio.Semaphore(1 << 20)
        self._loadable = asyncio.Event()
        self._loadable.set()

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    def take_turns(self, at_a_time: int) -> None:
        """Only so many calls run at a time; others wait before their batch is made, also when nobody waits for them."""
        self._turns = asyncio.Semaphore(at_a_time)

    def hold(self) -> None:
        """Calls do not return until released."""
        self._free.clear()

    def hold_next(self) -> None:
        """Calls that are open return, and later ones do not until released."""
        self._free.set()
        self._free = asyncio.Event()

    def release(self) -> None:
        self._free.set()

    def hold_loading(self) -> None:
        self._loadable.clear()

    def release_loading(self) -> None:
        self._loadable.set()

    async def start(self) -> None:
        self.loads += 1
        await self._loadable.wait()
        if self.load_error is not None:
            raise self.load_error

    def close(self) -> None:
        self.closed = True

    async def infer(self, images: NDArray[np.uint8]) -> RawOutput:
        return await self.run(lambda: images, lambda output: output)

    async def run(self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]) -> T:
        if self.closed:
            raise RuntimeError("the engine is closed")
        return await asyncio.shield(asyncio.create_task(self._in_turn(made, used)))

    async def _in_turn(
        self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]
    ) -> T:
        async with self._turns:
            return await self._run(made, used)

    async def _run(
        self, made: Callable[[], NDArray[np.uint8]], used: Callable[[RawOutput], T]
    ) -> T:
        images = made()
        self.batches.append(images.copy())
        self.started.put_nowait(len(images))
        await self._free.wait()
        if any(self.fails_on(image) for image in images):
            raise RuntimeError("secret inner detail of the engine")
        return used(self.distort(boxes_and_scores(images)))


class RecordingTelemetry:
    def __init__(self) -> None:
        self.inspections: list[Inspection] = []
        self.waited_for: list[bool] = []
        self.rejections: list[str] = []
        self.batch_sizes: list[int] = []
        self.batch_cuts: list[str] = []
        self.engine_calls: list[bool] = []
        self.engine_calls_s: list[float] = []
        self.deliveries: list[int] = []
        self.outcomes: list[JobOutcome] = []
        self.alarms: list[tuple[str, Alarm]] = []

    def inspected(self, inspection: Inspection, *, waited_for: bool = True) -> None:
        self.inspections.append(inspection)
        self.waited_for.append(waited_for)

    def rejected(self, reason: str) -> None:
        self.rejections.append(reason)

    def batch_ran(self, size: int, cut_because: str) -> None:
        self.batch_sizes.append(size)
        self.batch_cuts.append(cut_because)

    def engine_called(self, duration_s: float, failed: bool) -> None:
        assert duration_s >= 0
        self.engine_calls.append(failed)
        self.engine_calls_s.append(duration_s)

    def job_taken(self, deliveries: int) -> None:
        self.deliveries.append(deliveries)

    def job_resolved(self, outcome: JobOutcome) -> None:
        self.outcomes.append(outcome)

    def alarm_raised(self, line: str, alarm: Alarm) -> None:
        self.alarms.append((line, alarm))


class RecordingModelTelemetry:
    def __init__(self) -> None:
        self.stable: list[str] = []
        self.labels: set[str] = set()
        self.changes: list[tuple[str, str]] = []

    def expect(self, recipes: Iterable[str], labels: Iterable[str]) -> None:
        self.labels |= set(labels)

    def show_model(self, model: ModelInfo) -> None:
        self.stable.append(model.version)

    def model_changed(self, change: str, outcome: str) -> None:
        self.changes.append((change, outcome))


class InlineExecutor(Executor):
    """Works at once, in the thread that asks; can be held back, as if all its threads were busy."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken: Exception | None = None
        self._held: list[Callable[[], None]] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        if self.broken is not None:
            raise self.broken
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
                future.set_exception(error)

        if self._held is None:
            work()
        else:
            self._held.append(work)
        return future

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for work in held:
            work()


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(100):
        await asyncio.sleep(0)
