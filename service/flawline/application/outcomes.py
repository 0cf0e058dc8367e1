"""From an order to its outcome, through a queue."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from flawline.application.deadline import DeadlinePassed, within
from flawline.application.failures import new_error_id
from flawline.application.frame_header import frame_info
from flawline.application.intake import Intake
from flawline.application.job import Expired, Failed, Job, JobOutcome, Judged, PictureRefused
from flawline.application.line_watch import LineWatch
from flawline.application.order import Order
from flawline.application.ports import Clock, JobIntake
from flawline.core.errors import InspectionError
from flawspec.decoding import DecodeLimits

logger = logging.getLogger(__name__)


class Outcomes:
    """Looks at a picture's header, queues it, and waits for what comes of it, until its deadline.

    `watch` looks at the declared lines over time. A picture whose caller goes away meanwhile is withdrawn.
    """

    def __init__(
        self, clock: Clock, decode: DecodeLimits, intake: Intake, watch: LineWatch | None
    ) -> None:
        self._clock = clock
        self._frame_info = partial(frame_info, limits=decode)
        self._intake = intake
        self._watch = watch

    async def of(self, order: Order, queue: JobIntake) -> JobOutcome:
        """Raises InspectionError when the picture is refused, or the queue does not take it."""
        looked_at = False
        try:
            outcome = await self._outcome(order, queue)
            looked_at = isinstance(outcome, Judged | PictureRefused)
        finally:
            if not looked_at and self._watch is not None and order.frame.sha256:
                self._watch.not_judged(order)
        return outcome

    async def _outcome(self, order: Order, queue: JobIntake) -> JobOutcome:
        try:
            outcome = await within(self._clock, order.deadline_s, self._ask(order, queue))
        except DeadlinePassed:
            return Expired()
        except InspectionError:
            raise
        except Exception:
            error_id = new_error_id()
            logger.exception(
                "inspection_failed inspection_id=%s error_id=%s", order.inspection_id, error_id
            )
            return Failed(error_id)
        # The event loop may notice the deadline late; a verdict after it would be a late one.
        late = self._clock.monotonic_s() > order.deadline_s
        return Expired() if late and isinstance(outcome, Judged) else outcome

    async def _ask(self, order: Order, queue: JobIntake) -> JobOutcome:
        order.frame = await self._intake.read(order.picture, self._frame_info)
        if self._watch is not None and (hangs := self._watch.intake(order)):
            return hangs
        job = Job(
            job_id=order.inspection_id,
            picture=order.picture,
            recipe=order.recipe.name,
            min_score=order.min_score,
            submitted_s=self._clock.monotonic_s(),
            deadline_s=order.deadline_s,
            line=order.line,
            priority=order.priority,
            traceparent=order.traceparent,
            part_id=order.part_id,
        )
        try:
            await queue.submit(job)
            order.accepted(order.deadline_s)
            return await queue.result(job.job_id)
        except asyncio.CancelledError:  # the deadline passed, or the caller went away
            await queue.cancel(job.job_id)
            raise
