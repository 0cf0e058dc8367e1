"""Jobs and outcomes as they travel: JSON, and the picture's bytes beside it. Nothing is unpickled.

Apis and workers of two versions meet while one is rolled out: what was added later may be missing,
and what is not known is left alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, TypeVar

from flawline.application.job import (
    Abandoned,
    Expired,
    Failed,
    Job,
    JobOutcome,
    Judged,
    Lease,
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

T = TypeVar("T")

logger = logging.getLogger(__name__)

STRANGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading raises over JSON of another shape than was expected."""


class NotUnderstood(ValueError):  # noqa: N818 - an ordinary turn of events while versions meet
    """What came over the wire lacks what this version needs, or is of a kind that it does not know."""


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
    """The outcome that `outcome_to_wire` wrote. Raises NotUnderstood."""
    try:
        fields = json.loads(text)
        kind = _KINDS[fields.pop("kind")]
        return _judged(fields) if kind is Judged else _of(kind, fields)
    except STRANGE as error:
        raise NotUnderstood(f"outcome: {error!r}") from error


def reasons_from(fields: list[dict[str, Any]]) -> tuple[Reason, ...]:
    """Reasons, their JSON parsed."""
    return tuple(_of(Reason, reason) for reason in fields)


def detections_from(fields: list[dict[str, Any]]) -> tuple[Detection, ...]:
    """Detections, their JSON parsed."""
    return tuple(
        Detection(found["label"], found["score"], _of(Box, found["box"])) for found in fields
    )


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
        frame=_of(FrameInfo, fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=_of(RecipeRef, fields["recipe"]),
        model=_of(ModelRef, fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        processing_times=_of(ProcessingTimes, fields["processing_times"]),
    )


def _of(kind: Callable[..., T], fields: Mapping[str, Any]) -> T:
    """One of those, from its fields, and maybe from others that a newer version has."""
    # Remembered: to look the names up for each box would cost more than the rest.
    return kind(**{name: fields[name] for name in _names(kind) if name in fields})


@cache
def _names(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(kind))


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
        recipe=_of(RecipeRef, fields["recipe"]),
        model=_of(ModelRef, fields["model"]),
        times=_of(StageTimes, fields["times"]),
        quality=_quality(fields.get("quality")),
    )


def _quality(fields: dict[str, float] | None) -> FrameQuality | None:
    if fields is None or not fields.keys() >= {*MEASURES}:
        return None
    return FrameQuality(*(fields[name] for name in MEASURES))


def announcement_to_wire(worker: str, model: ModelInfo) -> str:
    """What a worker says of itself; the same each time."""
    return json.dumps({"worker": worker, "model": model}, sort_keys=True, default=_plain)


def announced_from_wire(announcements: Iterable[bytes]) -> tuple[ModelInfo, ...]:
    """The models that workers serve; what a worker of another version says may not be understood, and is left out."""
    models = map(_announced, announcements)
    return tuple(model for model in models if model is not None)


@lru_cache(maxsize=256)
def _announced(text: bytes) -> ModelInfo | None:
    """Each worker says the same every second: it is parsed, and complained of, once."""
    try:
        fields = json.loads(text)["model"]
        return _of(ModelInfo, fields | {"labels": tuple(fields["labels"])})
    except STRANGE as error:
        logger.warning("worker_not_understood error=%r", error)
        return None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A job that has its outcome, as it travels.

    dead_because: why it is kept as a dead letter; empty when it is not.
    """

    lease: Lease
    outcome: str
    dead_because: str = ""

    @classmethod
    def of(cls, lease: Lease, outcome: JobOutcome) -> Resolved:
        """A job that failed becomes a dead letter."""
        reason = ""
        if isinstance(outcome, Failed):
            reason = f"processing failed, error id {outcome.error_id}"
        return cls(lease, outcome_to_wire(outcome), reason)
