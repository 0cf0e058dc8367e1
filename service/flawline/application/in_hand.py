"""The leases that one worker holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from flawline.application.batch_run import Ended
from flawline.application.job import Lease
from flawline.application.ports import JobSource, Traces, WorkerTelemetry


class InHand:
    """Leases taken and not yet ended; those set aside are not worked on yet."""

    def __init__(self, queue: JobSource, telemetry: WorkerTelemetry, traces: Traces) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._traces = traces
        self._in_work: dict[str, Lease] = {}
        self._set_aside: dict[str, Lease] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def leases(self) -> tuple[Lease, ...]:
        """All of them."""
        return (*self._in_work.values(), *self._set_aside.values())

    @property
    def idle(self) -> bool:
        """Whether nothing is worked on."""
        return not self._in_work

    def __len__(self) -> int:
        return len(self._in_work) + len(self._set_aside)

    def take(self, lease: Lease) -> None:
        """Begin to work on it."""
        self._set_aside.pop(lease.receipt, None)
        self._in_work[lease.receipt] = lease
        self._idle.clear()
        self._telemetry.job_taken(lease.deliveries)

    def set_aside(self, leases: Sequence[Lease]) -> None:
        """Hold these, and begin later."""
        self._set_aside.update((lease.receipt, lease) for lease in leases)

    async def until_idle(self) -> None:
        """Wait until nothing is worked on."""
        await self._idle.wait()

    async def resolve(self, ended: Sequence[Ended]) -> None:
        """End these with their outcomes, all in one go."""
        await self._queue.resolve([(one.lease, one.outcome) for one in ended])
        for one in ended:
            self._telemetry.job_resolved(one.outcome)
            self._let_go(one.lease)
            self._traces.worked(one.lease, one.outcome, one.trail.spans)

    async def extend(self) -> None:
        """Make all last."""
        if leases := self.leases:
            await self._queue.extend(leases)

    async def hand_back(self, leases: Sequence[Lease], *, counted: bool = False) -> None:
        """Hand these back to the queue in their order, unfinished; counted: as JobSource.release."""
        for lease in reversed(leases):  # each is put in front of the others
            await self._queue.release(lease, counted=counted)
            self._let_go(lease)

    async def release(self) -> None:
        """Hand all of them back to the queue, side by side: one that hangs is waited for once, and not for each."""
        await asyncio.gather(*map(self._queue.release, self.leases))
        self._in_work.clear()
        self._set_aside.clear()

    def _let_go(self, lease: Lease) -> None:
        del self._in_work[lease.receipt]
        if not self._in_work:
            self._idle.set()
