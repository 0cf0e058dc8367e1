"""One accepted request, and the inspection that becomes of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from flawline.application.job import Abandoned, Expired, Failed, JobOutcome, Judged, PictureRefused
from flawline.core.errors import BadPicture
from flawline.core.priority import Priority
from flawline.core.recipe import Recipe
from flawline.core.values import (
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    Reason,
    StageTimes,
    Verdict,
)


def tell_nobody(deadline_s: float) -> None:
    """For callers who wait for the answer itself."""
    del deadline_s


@dataclass(slots=True)
class Order:
    """A request that was checked; frame and fingerprint are filled in once the picture was looked at.

    started_s: moment of the monotonic clock, in seconds. created_at: the same moment, UTC.
    model_asked: name and version, None where left open. model and recipe are what that meant when it
    was last looked up.
    asks_for_stable: whether it was the stable one that this meant, whatever version that is.
    frames_sha256: as in InspectionRequest.
    fingerprint: of all that is asked for, "" where there is no idempotency key to tell requests apart under.
    accepted: told the deadline, on the monotonic clock, once the request was taken on.
    """

    picture: bytes
    line: str
    part_id: str | None
    priority: Priority
    model_asked: tuple[str | None, str | None]
    model: ModelRef
    recipe: Recipe
    min_score: float | None
    started_s: float
    deadline_ms: int
    created_at: datetime
    asks_for_stable: bool = True
    traceparent: str | None = None
    caller: str = ""
    frames_sha256: str = ""
    frame: FrameInfo = field(default_factory=lambda: FrameInfo(0, 0, ""))
    fingerprint: str = ""
    inspection_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    accepted: Callable[[float], None] = tell_nobody

    @property
    def deadline_s(self) -> float:
        """Until when the caller must have an answer, on the monotonic clock."""
        return self.started_s + self.deadline_ms / 1000


def inspection_of(order: Order, outcome: JobOutcome, total_ms: float) -> Inspection:
    """The answer to an order; without a verdict it names the model and the recipe asked for.

    Raises BadPicture when the outcome is that the picture cannot be decoded.
    """
    if isinstance(outcome, PictureRefused):
        raise BadPicture(outcome.code, outcome.detail)
    judged = outcome if isinstance(outcome, Judged) else _undefined(order, outcome)
    return Inspection(
        inspection_id=order.inspection_id,
        verdict=judged.verdict,
        reasons=judged.reasons,
        detections=judged.detections,
        frame=order.frame,
        line=order.line,
        part_id=order.part_id,
        recipe=judged.recipe,
        model=judged.model,
        created_at=order.created_at,
        processing_times=_times_of(judged.times, total_ms),
    )


def _times_of(stages: StageTimes, total_ms: float) -> ProcessingTimes:
    return ProcessingTimes(
        queue_ms=stages.queue_ms,
        decode_ms=stages.decode_ms,
        preprocess_ms=stages.preprocess_ms,
        inference_ms=stages.inference_ms,
        postprocess_ms=stages.postprocess_ms,
        total_ms=total_ms,
    )


def _undefined(order: Order, outcome: Failed | Expired | Abandoned) -> Judged:
    return Judged(
        verdict=Verdict.UNDEFINED,
        reasons=(_why_undefined(order, outcome),),
        detections=(),
        recipe=order.recipe.with_min_score(order.min_score).ref,
        model=order.model,
        times=StageTimes(),
    )


def _why_undefined(order: Order, outcome: Failed | Expired | Abandoned) -> Reason:
    if isinstance(outcome, Failed):
        return Reason("processing_failed", f"Processing failed; error id {outcome.error_id}.")
    if isinstance(outcome, Abandoned):
        return Reason("stopped", "The service stopped before the picture was evaluated.")
    return Reason("deadline", f"No verdict within {order.deadline_ms} ms.")
