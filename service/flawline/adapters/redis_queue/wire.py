"""Jobs and outcomes as they travel: JSON, and the picture's bytes beside it. Nothing is unpickled.

Apis and workers of two versions meet while one is rolled out: what was added later may be missing,
and what is not known is left alone.
"""

from __future__ import annotations

import json
from dataclasses import fields as fields_of
from datetime import datetime
from typing import Any

from flawline.application.job import (
    Abandoned,
    Expired,
    Failed,
    Job,
    JobOutcome,
    Judged,
    PictureRefused,
)
from flawline.core.quality import MEASURES, FrameQuality
from flawline.core.values import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelInfo,
    ModelRef,
    ProcessingTimes,
    Reason,
    RecipeRef,
    StageTimes,
    Verdict,
)

_KINDS = {
    "judged": Judged,
    "refused": PictureRefused,
    "failed": Failed,
    "expired": Expired,
    "abandoned": Abandoned,
}
_KIND_OF = {kind: name for name, kind in _KINDS.items()}


def meta_of(job: Job) -> str:
    """What a worker needs beside the fields that the scripts read."""
    return json.dumps(
        {
            "recipe": job.recipe,
            "min_score": job.min_score,
            "traceparent": job.traceparent,
            "part_id": job.part_id,
        }
    )


def meta_from(text: bytes) -> dict[str, Any]:
    """The arguments of a Job that `meta_of` wrote."""
    meta = json.loads(text)
    known = {name: meta[name] for name in ("recipe", "min_score", "traceparent")}
    return known | {"part_id": meta.get("part_id")}


def outcome_to_wire(outcome: JobOutcome) -> str:
    """One JSON object; `kind` says which outcome it is."""
    return tagged(_KIND_OF[type(outcome)], outcome)


def tagged(kind: str, value: object) -> str:
    """The fields of a dataclass and what kind it is, as one JSON object."""
    return json.dumps({"kind": kind, **_fields(value)}, default=_plain)


def outcome_from_wire(text: bytes) -> JobOutcome:
    """The outcome that `outcome_to_wire` wrote."""
    fields = json.loads(text)
    kind = _KINDS[fields.pop("kind")]
    return _judged(fields) if kind is Judged else kind(**fields)


def reasons_from(fields: list[dict[str, Any]]) -> tuple[Reason, ...]:
    """Reasons, their JSON parsed."""
    return tuple(Reason(**reason) for reason in fields)


def detections_from(fields: list[dict[str, Any]]) -> tuple[Detection, ...]:
    """Detections, their JSON parsed."""
    return tuple(Detection(found["label"], found["score"], Box(**found["box"])) for found in fields)


def inspection_to_json(inspection: Inspection) -> str:
    """One JSON object."""
    return json.dumps(inspection, default=_plain)


def inspection_from(fields: dict[str, Any]) -> Inspection:
    """The inspection that `inspection_to_json` wrote, its JSON parsed."""
    return Inspection(
        inspection_id=fields["inspection_id"],
        verdict=Verdict(fields["verdict"]),
        reasons=reasons_from(fields["reasons"]),
        detections=detections_from(fields["detections"]),
        frame=FrameInfo(**fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=RecipeRef(**fields["recipe"]),
        model=ModelRef(**fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        processing_times=ProcessingTimes(**fields["processing_times"]),
    )


def _plain(value: Any) -> object:
    """What JSON has no form for. `dataclasses.asdict` would copy all that is inside first, which takes longer."""
    return value.isoformat() if isinstance(value, datetime) else _fields(value)


def _fields(value: Any) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields_of(value)}


def _judged(fields: dict[str, Any]) -> Judged:
    return Judged(
        verdict=Verdict(fields["verdict"]),
        reasons=reasons_from(fields["reasons"]),
        detections=detections_from(fields["detections"]),
        recipe=RecipeRef(**fields["recipe"]),
        model=ModelRef(**fields["model"]),
        times=StageTimes(**fields["times"]),
        quality=_quality(fields.get("quality")),
    )


def _quality(fields: dict[str, float] | None) -> FrameQuality | None:
    return None if fields is None else FrameQuality(*(fields[name] for name in MEASURES))


def announcement_to_wire(worker: str, model: ModelInfo) -> str:
    """What a worker says of itself; the same each time."""
    return json.dumps({"worker": worker, "model": model}, sort_keys=True, default=_plain)


def announcement_from_wire(text: bytes) -> ModelInfo:
    """The model that a worker serves."""
    fields = json.loads(text)["model"]
    return ModelInfo(**fields | {"labels": tuple(fields["labels"])})
