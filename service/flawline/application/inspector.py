"""The one object that every protocol calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.idempotency import AnswerKey, Idempotency
from flawline.application.inspection_log import InspectionLog
from flawline.application.intake import Intake
from flawline.application.job import Expired, JobOutcome, Judged
from flawline.application.line_watch import LineWatch
from flawline.application.models import ModelChoice, ServingModel
from flawline.application.open_work import OpenWork
from flawline.application.order import Order, inspection_of, tell_nobody
from flawline.application.outcomes import Outcomes
from flawline.application.ports import AnswerMemory, Clock, Telemetry, Traces
from flawline.application.readiness import Readiness
from flawline.application.request import (
    InspectionRequest,
    checked_deadline_ms,
    checked_idempotency_key,
    checked_line,
    checked_min_score,
    checked_model,
    checked_part_id,
    checked_priority,
    usable_traceparent,
)
from flawline.application.traces import NoTraces, why_ended
from flawline.core.errors import InspectionError, NotReady
from flawline.core.priority import Priority
from flawline.core.values import Inspection, ModelInfo
from flawspec.decoding import DecodeLimits

__all__ = ["InspectionRequest", "Inspector", "InspectorLimits", "ModelInfo", "Readiness"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InspectorLimits:
    """Bounds on a request; pictures from `large_picture_bytes` on are hashed off the event loop."""

    decode: DecodeLimits
    deadline_ms: int = 1000
    max_deadline_ms: int = 60_000
    large_picture_bytes: int = 128 * 1024
    retry_after_s: float = 2.0


class Inspector:
    """Takes a request, queues it, and answers by its deadline.

    Each request is bound to one of `models` from its queueing to its answer. `intake` runs header
    probe and hashes of large pictures. New work is refused until `open`, and again from `drain` on.
    `degraded` says what is wrong although work can be taken. `watch` looks at the declared lines
    over time. `publish` is told of each inspection that was answered. `work`: what a drain waits
    for, where others add to it.
    """

    def __init__(
        self,
        *,
        models: ModelChoice,
        clock: Clock,
        telemetry: Telemetry,
        answers: AnswerMemory,
        limits: InspectorLimits,
        intake: Executor,
        degraded: Callable[[], str | None] = lambda: None,
        watch: LineWatch | None = None,
        publish: Callable[[Inspection], None] = lambda _: None,
        traces: Traces | None = None,
        log: InspectionLog | None = None,
        work: OpenWork | None = None,
    ) -> None:
        self._models = models
        self._clock = clock
        self._telemetry = telemetry
        self._traces = traces or NoTraces()
        self._log = log or InspectionLog()
        self._limits = limits
        reading = Intake(intake, limits.large_picture_bytes)
        self._outcomes = Outcomes(clock, limits.decode, reading, watch)
        self._degraded = degraded
        self._watch = watch
        self._publish = publish
        self._closed_because: str | None = "starting"
        self._idempotency = Idempotency(answers, clock, reading, self._inspect)
        self._work = work or OpenWork()
        self._draining = asyncio.Event()

    def open(self) -> None:
        """Take work from now on."""
        self._closed_because = None

    async def drain(self, limit_s: float) -> bool:
        """Take no new work, wait for what was accepted; False when `limit_s` did not suffice."""
        self._closed_because = "draining"
        self._draining.set()
        try:
            await within(self._clock, self._clock.monotonic_s() + limit_s, self._work.until_none())
        except DeadlinePassed:
            return False
        return True

    @property
    def open_inspections(self) -> int:
        """How many were accepted and are not yet answered."""
        return self._work.count

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes known for the stable model."""
        return self._models.stable.recipes.names

    def models(self) -> tuple[ModelInfo, ...]:
        """The models that inspect, the stable one first."""
        return self._models.loaded()

    def readiness(self) -> Readiness:
        """Whether new work is taken at this moment."""
        reason = self._closed_because or self._models.stable.fault()
        return Readiness(ready=reason is None, reason=reason, degraded=self._degraded())

    def check_ready(self) -> None:
        """For a protocol that would rather ask before it reads a picture. Raises NotReady."""
        try:
            self._require_ready()
        except NotReady as error:
            self._telemetry.rejected(error.code)
            raise

    async def until_draining(self) -> None:
        """Return when no new work is taken any more."""
        await self._draining.wait()

    def refused(self, code: str) -> None:
        """Count a request that a protocol refused before it became one of ours, or that was `tried` in vain."""
        self._telemetry.rejected(code)

    async def inspect(
        self, request: InspectionRequest, accepted: Callable[[float], None] = tell_nobody
    ) -> Inspection:
        """Inspect one picture.

        Returns by its deadline, with verdict Undefined and a reason when there is none by then.
        Raises InspectionError when the request is not accepted, or when its picture turns out
        damaged on decoding. Cancelling the call withdraws the picture, unless it has an idempotency
        key: then a repeat may still want the answer. `accepted` is told the deadline, on the
        monotonic clock, once the picture is queued.
        """
        try:
            return await self.traced(request, lambda traced: self.tried(traced, accepted))
        except InspectionError as error:
            self._telemetry.rejected(error.code)
            raise

    async def traced(
        self,
        request: InspectionRequest,
        inspect: Callable[[InspectionRequest], Awaitable[Inspection]],
    ) -> Inspection:
        """What `inspect` says of the request, as one span, however often it is `tried` for that."""
        span = self._traces.begin(usable_traceparent(request.traceparent))
        try:
            inspection = await inspect(replace(request, traceparent=span.traceparent))
        except BaseException as error:
            span.ended(why_ended(error))
            raise
        span.answered(inspection)
        return inspection

    async def tried(
        self, request: InspectionRequest, accepted: Callable[[float], None] = tell_nobody
    ) -> Inspection:
        """As `inspect`, within `traced`, for who may try again: a refusal counts once he says that it was `refused`."""
        order = self._checked(request, accepted)
        key = checked_idempotency_key(request.idempotency_key)
        if key is None:
            return await self._inspect(order)
        try:
            return await self._idempotency.answer(order, key)
        except DeadlinePassed:
            return self._answer(order, Expired())

    async def forget(self, keys: Iterable[AnswerKey]) -> None:
        """Keep the answers under these keys no longer."""
        await self._idempotency.forget(keys)

    async def memory_id(self) -> str:
        """Names what remembers answers; another name means that they are forgotten."""
        return await self._idempotency.memory_id()

    async def _inspect(self, order: Order) -> Inspection:
        # Anew: the model it was checked against may be gone, if it waited for its key.
        with self._work.one_more(), self._models.borrowed(*order.model_asked) as model:
            order.model, order.recipe = model.info.ref, model.recipes.find(order.recipe.name)
            outcome = await self._outcomes.of(order, model.queue)
        return self._answer(order, outcome)

    def _answer(self, order: Order, outcome: JobOutcome) -> Inspection:
        total_ms = (self._clock.monotonic_s() - order.started_s) * 1000
        if self._watch is not None and isinstance(outcome, Judged):
            outcome = self._watch.judged(order, outcome)
        inspection = inspection_of(order, outcome, total_ms)
        self._telemetry.inspected(inspection, waited_for=order.priority is not Priority.BACKFILL)
        self._log.answered(inspection, order.traceparent)
        try:
            self._publish(inspection)
        except Exception:  # whoever watches must not cost the caller his answer
            logger.exception("inspection_not_published inspection_id=%s", order.inspection_id)
        return inspection

    def _require_ready(self) -> None:
        readiness = self.readiness()
        if readiness.reason is not None:
            raise NotReady(readiness.reason, self._limits.retry_after_s)

    def _checked(self, request: InspectionRequest, accepted: Callable[[float], None]) -> Order:
        asked = checked_model(request.model, request.model_version)
        model = self._ready_model(*asked)
        limits = self._limits
        return Order(
            picture=request.picture,
            line=checked_line(request.line),
            part_id=checked_part_id(request.part_id),
            priority=checked_priority(request.priority),
            model_asked=asked,
            asks_for_stable=self._is_stable(model, *asked),
            model=model.info.ref,
            recipe=model.recipes.find(request.recipe),
            min_score=checked_min_score(request.min_score),
            started_s=self._clock.monotonic_s(),
            deadline_ms=checked_deadline_ms(
                request.deadline_ms, limits.deadline_ms, limits.max_deadline_ms
            ),
            created_at=self._clock.utc_now(),
            traceparent=request.traceparent,
            caller=request.caller,
            frames_sha256=request.frames_sha256,
            inspection_id=request.inspection_id,
            accepted=accepted,
        )

    def _is_stable(self, model: ServingModel, name: str | None, version: str | None) -> bool:
        """Whether a request means the stable model: a protocol may want a name in each; a version chooses."""
        return name is None or (version is None and model.info.ref == self._models.stable.info.ref)

    def _ready_model(self, name: str | None, version: str | None) -> ServingModel:
        """What a request is bound to if it is queued at once. Raises NotReady or UnknownModel."""
        if name is None:
            self._require_ready()
            return self._models.stable
        with self._models.borrowed(name, version) as model:
            reason = self._closed_because or model.fault()
            if reason is not None:
                raise NotReady(reason, self._limits.retry_after_s)
            return model
