"""Load for a service: frames at a cadence whatever comes back (open loop), or by callers who wait (closed loop)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flawline.application.ports import Clock
from flawline.core.load import LoadFigures, LoadRecord, Outcome, OutcomeKind

# Who is refused or finds nobody does not ask again at once, or the loop would measure how fast one can be refused.
_PAUSE_S = 0.05
_TICK_S = 0.02
# After being told to stop, so long are answers waited for that are on their way.
_FAREWELL_S = 2.0
_NOT_WAITED_FOR = Outcome(OutcomeKind.ERROR, "not_waited_for")


class Way(Protocol):
    """How frames get to a service."""

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        """One try with one picture, as that caller. What goes wrong is the outcome, never raised."""
        ...


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """rate: frames per second in an open loop, or None: `callers` ask in a closed loop.

    callers: in an open loop, to whom the frames are dealt in turn. The first warm_up_s are not counted.
    """

    rate: float | None
    callers: int
    duration_s: float
    warm_up_s: float
    deadline_ms: float


class Load:
    """One run of a plan over some pictures, which are sent in turn."""

    def __init__(self, way: Way, pictures: Sequence[bytes], plan: LoadPlan, clock: Clock) -> None:
        self._way = way
        self._pictures = pictures
        self._plan = plan
        self._clock = clock
        self._counts_from_s = self._last_s = 0.0
        self._frames = 0
        self._stopped = False
        self._fault: BaseException | None = None
        self._wakers: set[Callable[[], None]] = set()
        self._told = asyncio.Event()
        self.record = LoadRecord(plan.deadline_ms)

    @property
    def counts_from_s(self) -> float:
        """When the warm-up is over, on the clock; 0 before the start."""
        return self._counts_from_s

    def figures(self) -> LoadFigures:
        """Of what has ended so far."""
        return self.record.figures(max(0.0, self._last_s - self._counts_from_s))

    def stop(self) -> None:
        """Send no more; `run` ends once what is on its way has come, or soon after."""
        self._stopped = True
        self._told.set()
        for wake in list(self._wakers):
            wake()

    async def run(self) -> LoadFigures:
        """Send, and wait for all answers."""
        began_s = self._clock.monotonic_s()
        self._counts_from_s = began_s + self._plan.warm_up_s
        ends_s = self._counts_from_s + self._plan.duration_s
        if self._plan.rate is not None:
            await self._open_loop(began_s, ends_s, self._plan.rate)
        else:
            await self._closed_loop(ends_s)
        if self._fault is not None:
            raise self._fault
        if not self._stopped:
            self._last_s = max(self._last_s, ends_s)
        return self.figures()

    async def _open_loop(self, began_s: float, ends_s: float, rate: float) -> None:
        on_their_way: set[asyncio.Task[Any]] = set()
        for number in range(round((ends_s - began_s) * rate)):
            # Not by adding up: errors of rounding would change the rate.
            due_s = began_s + number / rate
            await self._until(due_s)
            if self._stopped:
                break
            sending = asyncio.create_task(self._send(due_s, number % self._plan.callers))
            on_their_way.add(sending)
            sending.add_done_callback(on_their_way.discard)
            sending.add_done_callback(self._stop_at_fault)
        await self._all_done(on_their_way)

    async def _closed_loop(self, ends_s: float) -> None:
        ticking = asyncio.create_task(self._tick())
        calling = {
            asyncio.create_task(self._call_on(caller, ends_s))
            for caller in range(self._plan.callers)
        }
        for task in calling:
            task.add_done_callback(self._stop_at_fault)
        await self._all_done(calling)
        ticking.cancel()

    def _stop_at_fault(self, task: asyncio.Task[Any]) -> None:
        """A way that raises is a fault of ours, and no figure is to come of it."""
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
            self.stop()

    async def _call_on(self, caller: int, ends_s: float) -> None:
        while (now_s := self._clock.monotonic_s()) < ends_s and not self._stopped:
            outcome = await self._send(now_s, caller)
            if outcome.kind in {OutcomeKind.REFUSED, OutcomeKind.ERROR}:
                await self._until(self._clock.monotonic_s() + _PAUSE_S)

    async def _tick(self) -> None:
        """Lags of a loop in which nothing is ever due: how late this process wakes."""
        while not self._stopped:
            due_s = self._clock.monotonic_s() + _TICK_S
            await self._until(due_s)
            self._note_lag(due_s)

    async def _send(self, due_s: float, caller: int) -> Outcome:
        picture = self._pictures[self._frames % len(self._pictures)]
        self._frames += 1
        if self._plan.rate is not None:
            self._note_lag(due_s)
        outcome = _NOT_WAITED_FOR
        try:
            outcome = await self._way.inspect(picture, caller)
        finally:  # one that is no longer waited for was sent all the same
            if due_s >= self._counts_from_s:
                self._last_s = self._clock.monotonic_s()
                self.record.add(due_s, self._last_s, outcome)
        return outcome

    def _note_lag(self, due_s: float) -> None:
        if due_s >= self._counts_from_s:
            self.record.add_lag(max(0.0, self._clock.monotonic_s() - due_s))

    async def _until(self, moment_s: float) -> None:
        """Not before then, unless told to stop: event loops round, and may wake early."""
        await asyncio.sleep(0)  # others get their turn even when it is late
        while not self._stopped and self._clock.monotonic_s() < moment_s:
            woken = asyncio.Event()
            timer = self._clock.call_at(moment_s, woken.set)
            self._wakers.add(woken.set)
            try:
                await woken.wait()
            finally:
                self._wakers.discard(woken.set)
                timer.cancel()

    async def _all_done(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Until all are, or some time after being told to stop."""
        told = asyncio.create_task(self._told.wait())
        waiting = set(tasks)
        while waiting and not self._stopped:
            done, _ = await asyncio.wait({*waiting, told}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
        told.cancel()
        if waiting:
            _, left = await asyncio.wait(waiting, timeout=_FAREWELL_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
