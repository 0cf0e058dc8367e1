"""The network by itself: its own tensors in and out; no decoding, no thresholds, no verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.failures import new_error_id
from flawline.application.job import Expired, Failed
from flawline.application.open_work import OpenWork
from flawline.application.ports import Clock
from flawline.application.request import checked_deadline_ms
from flawline.application.shared_engine import SharedEngine
from flawline.application.statistics import Statistics
from flawline.core.drain import UNMEASURED_RETRY_S
from flawline.core.errors import InvalidRequest, QueueFull
from flawline.core.postprocess import require_rows
from flawline.core.values import ModelInfo, RawOutput, StageTimes

logger = logging.getLogger(__name__)

RawOutcome = RawOutput | Expired | Failed


class LentEngine(Protocol):
    """A loaded model with the engine that its inspections use too."""

    @property
    def info(self) -> ModelInfo:
        """What it is."""
        ...

    @property
    def engine(self) -> SharedEngine:
        """What runs it."""
        ...


class EngineLender(Protocol):
    """Where loaded models are."""

    def lane(self, name: str, version: str | None = None) -> AbstractContextManager[LentEngine]:
        """A model that stays loaded until it is given back. Raises UnknownModel."""
        ...


@dataclass(frozen=True, slots=True)
class RawLimits:
    """Bounds on a request. capacity: how many pictures of all requests together may wait or run."""

    max_batch: int
    capacity: int
    deadline_ms: int
    max_deadline_ms: int


class RawInference:
    """Runs requests one after the other on engines that inspections use too.

    Only one of them asks for an engine at a time, and none is inside with one that gave up, so that however
    many wait, an inspection waits for one of them at most. check_ready: raises NotReady while no work is
    taken. work: what a drain waits for.
    """

    def __init__(
        self,
        engines: EngineLender,
        *,
        statistics: Statistics,
        clock: Clock,
        check_ready: Callable[[], None],
        work: OpenWork,
        limits: RawLimits,
    ) -> None:
        self._engines = engines
        self._statistics = statistics
        self._clock = clock
        self._check_ready = check_ready
        self._work = work
        self._limits = limits
        self._turn = asyncio.Lock()
        self._inside: dict[SharedEngine, asyncio.Task[RawOutput]] = {}
        self._open_pictures = 0

    @property
    def max_batch(self) -> int:
        """Most pictures in one request."""
        return self._limits.max_batch

    async def run(
        self,
        name: str,
        images: NDArray[np.uint8],
        *,
        version: str | None = None,
        deadline_ms: int | None = None,
    ) -> tuple[ModelInfo, RawOutcome]:
        """Run a loaded model on uint8 [N, 1, input height, input width]; row i is of image i.

        Raises InvalidRequest, NotReady, UnknownModel, and QueueFull when too many pictures wait.
        """
        limits, count = self._limits, len(images)
        self._check_ready()
        wait_ms = checked_deadline_ms(deadline_ms, limits.deadline_ms, limits.max_deadline_ms)
        with self._engines.lane(name, version) as lent, self._work.one_more():
            self._check_shape(images, lent.info)
            if self._open_pictures + count > limits.capacity:
                raise QueueFull(UNMEASURED_RETRY_S)
            self._open_pictures += count
            try:
                return lent.info, await self._answered(images, lent, wait_ms)
            finally:
                self._open_pictures -= count

    async def _answered(
        self, images: NDArray[np.uint8], lent: LentEngine, deadline_ms: int
    ) -> RawOutcome:
        started_s = self._clock.monotonic_s()
        output: RawOutcome
        try:
            output = await within(
                self._clock, started_s + deadline_ms / 1000, self._run(images, lent, started_s)
            )
        except DeadlinePassed:
            output = Expired()
        except Exception:
            error_id = new_error_id()
            logger.exception("raw_inference_failed size=%d error_id=%s", len(images), error_id)
            output = Failed(error_id)
        if not isinstance(output, RawOutput):
            total_ms = (self._clock.monotonic_s() - started_s) * 1000
            self._statistics.raw(lent.info.ref).fail.add(total_ms)
        return output

    async def _run(
        self, images: NDArray[np.uint8], lent: LentEngine, started_s: float
    ) -> RawOutcome:
        figures = self._statistics.raw(lent.info.ref)
        ran: list[tuple[int, float, float]] = []
        async with self._turn_on(lent.engine):
            call = await self._begun(images, lent.engine, lambda *run: ran.append(run))
            output = await asyncio.shield(call)
        require_rows(output, len(images))
        ((_, begun_s, ended_s),) = ran
        times = StageTimes(
            queue_ms=(begun_s - started_s) * 1000, inference_ms=(ended_s - begun_s) * 1000
        )
        total_ms = (ended_s - started_s) * 1000
        figures.succeeded(len(images), total_ms, times, self._clock.utc_now())
        figures.executed(len(images), ended_s - begun_s)
        return output

    @asynccontextmanager
    async def _turn_on(self, engine: SharedEngine) -> AsyncIterator[None]:
        """Once the engine has ended what another gave up, which is waited for without the turn: it may hang."""
        while True:
            while (given_up := self._inside.get(engine)) is not None:
                await asyncio.wait({given_up})
            async with self._turn:
                if engine not in self._inside:
                    yield
                    return

    async def _begun(
        self,
        images: NDArray[np.uint8],
        engine: SharedEngine,
        ran: Callable[[int, float, float], object],
    ) -> asyncio.Task[RawOutput]:
        call = self._inside[engine] = await engine.begun(images, ran)
        call.add_done_callback(lambda _: self._inside.pop(engine))
        return call

    def _check_shape(self, images: NDArray[np.uint8], info: ModelInfo) -> None:
        size = (1, info.input_height_px, info.input_width_px)
        if images.dtype != np.uint8 or images.shape[1:] != size:
            raise InvalidRequest(
                "images", f"images must be uint8 [N, {', '.join(map(str, size))}]."
            )
        if not 1 <= len(images) <= self._limits.max_batch:
            raise InvalidRequest(
                "images",
                f"images holds {len(images)} pictures; 1 to {self._limits.max_batch} may run at once "
                "(FLAWLINE_MAX_BATCH).",
            )
