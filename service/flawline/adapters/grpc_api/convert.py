"""Messages to core values and back. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone

from flawline.application.inspector import InspectionRequest
from flawline.core.priority import Priority
from flawline.core.values import Detection, Inspection, ProcessingTimes, Verdict
from flawline.rpc.v1 import inspection_pb2 as pb

VERDICT_TO_WIRE = {
    Verdict.OK: pb.VERDICT_OK,
    Verdict.NOT_OK: pb.VERDICT_NOT_OK,
    Verdict.NOT_DECIDABLE: pb.VERDICT_NOT_DECIDABLE,
    Verdict.UNDEFINED: pb.VERDICT_UNDEFINED,
}

_PRIORITIES = {
    pb.PRIORITY_UNSPECIFIED: None,
    pb.PRIORITY_INLINE: Priority.INLINE.value,
    pb.PRIORITY_REINSPECTION: Priority.REINSPECTION.value,
    pb.PRIORITY_BACKFILL: Priority.BACKFILL.value,
}


def request_from_wire(
    message: pb.InspectRequest,
    deadline_ms: int | None,
    metadata: Mapping[str, str],
    caller: str = "",
) -> InspectionRequest:
    """The request; `deadline_ms` is what message and call allow together. Empty text is no text.

    caller: his name from the lock, "" without one.
    """
    return InspectionRequest(
        picture=message.picture,
        line=message.line or None,
        part_id=message.part_id if message.HasField("part_id") else None,
        recipe=message.recipe or None,
        min_score=message.min_score if message.HasField("min_score") else None,
        deadline_ms=deadline_ms,
        # An open enum: a number we do not know goes on as such, and is refused by name.
        priority=_PRIORITIES.get(message.priority, str(message.priority)),
        traceparent=metadata.get("traceparent"),
        idempotency_key=metadata.get("idempotency-key"),
        caller=caller,
    )


def inspection_to_wire(inspection: Inspection) -> pb.Inspection:
    """The same inspection as REST shows, field by field."""
    frame, recipe, model = inspection.frame, inspection.recipe, inspection.model
    message = pb.Inspection(
        inspection_id=inspection.inspection_id,
        verdict=VERDICT_TO_WIRE[inspection.verdict],
        reasons=[pb.Reason(code=r.code, detail=r.detail) for r in inspection.reasons],
        detections=[_detection_to_wire(detection) for detection in inspection.detections],
        frame=pb.Frame(width=frame.width_px, height=frame.height_px, sha256=frame.sha256),
        line=inspection.line,
        part_id=inspection.part_id,
        recipe=pb.RecipeRef(name=recipe.name, version=recipe.version),
        model=pb.ModelRef(name=model.name, version=model.version, sha256=model.sha256),
        processing_times_ms=_times_to_wire(inspection.processing_times),
    )
    message.created_at.FromDatetime(inspection.created_at.astimezone(timezone.utc))
    return message


def _detection_to_wire(detection: Detection) -> pb.Detection:
    box = detection.box
    return pb.Detection(
        label=detection.label,
        score=detection.score,
        box=pb.Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
    )


def _times_to_wire(times: ProcessingTimes) -> pb.ProcessingTimes:
    return pb.ProcessingTimes(
        queue=times.queue_ms,
        decode=times.decode_ms,
        preprocess=times.preprocess_ms,
        inference=times.inference_ms,
        postprocess=times.postprocess_ms,
        total=times.total_ms,
    )
