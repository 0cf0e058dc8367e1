"""The JSON that callers get, and its making from core values."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from flawline.core.values import (
    Detection,
    Inspection,
    ModelRef,
    PartInspection,
    ProcessingTimes,
    Verdict,
)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Rfc3339 = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


class BoxAnswer(BaseModel):
    """A rectangle in pixels of the upright picture, origin at its upper left corner."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class DetectionAnswer(BaseModel):
    """One flaw that was found."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    label: str = Field(alias="class")
    score: float = Field(ge=0, le=1)
    box: BoxAnswer

    @classmethod
    def of(cls, detection: Detection) -> DetectionAnswer:
        """The same flaw as callers see it."""
        box = detection.box
        return cls(
            label=detection.label,
            score=detection.score,
            box=BoxAnswer(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
        )


class ReasonAnswer(BaseModel):
    """One ground of the verdict: a stable word for machines, a sentence for people."""

    code: str
    detail: str


class FrameAnswer(BaseModel):
    """The picture: pixels when upright, and the sha256 of the bytes received."""

    width: int
    height: int
    sha256: str


class RecipeAnswer(BaseModel):
    """The recipe that decided."""

    name: str
    version: str


class ModelAnswer(BaseModel):
    """An artifact: the one that looked, or one that may."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, ref: ModelRef) -> ModelAnswer:
        """The same artifact as callers see it."""
        return cls(name=ref.name, version=ref.version, sha256=ref.sha256)


class TimesAnswer(BaseModel):
    """Milliseconds by step; a step that did not happen took 0."""

    queue: float
    decode: float
    preprocess: float
    inference: float
    postprocess: float
    total: float

    @classmethod
    def of(cls, times: ProcessingTimes) -> TimesAnswer:
        """Rounded to microseconds: more digits would be noise."""
        return cls(
            queue=round(times.queue_ms, 3),
            decode=round(times.decode_ms, 3),
            preprocess=round(times.preprocess_ms, 3),
            inference=round(times.inference_ms, 3),
            postprocess=round(times.postprocess_ms, 3),
            total=round(times.total_ms, 3),
        )


class InspectionAnswer(BaseModel):
    """The answer to one picture."""

    inspection_id: str
    verdict: Verdict
    reasons: list[ReasonAnswer]
    detections: list[DetectionAnswer] = Field(description="Score descending.")
    frame: FrameAnswer
    line: str
    part_id: str | None
    recipe: RecipeAnswer
    model: ModelAnswer
    created_at: Rfc3339
    processing_times_ms: TimesAnswer

    @classmethod
    def of(cls, inspection: Inspection) -> InspectionAnswer:
        """The same inspection as callers see it."""
        frame, recipe = inspection.frame, inspection.recipe
        return cls(
            inspection_id=inspection.inspection_id,
            verdict=inspection.verdict,
            reasons=[ReasonAnswer(code=r.code, detail=r.detail) for r in inspection.reasons],
            detections=[DetectionAnswer.of(detection) for detection in inspection.detections],
            frame=FrameAnswer(width=frame.width_px, height=frame.height_px, sha256=frame.sha256),
            line=inspection.line,
            part_id=inspection.part_id,
            recipe=RecipeAnswer(name=recipe.name, version=recipe.version),
            model=ModelAnswer.of(inspection.model),
            created_at=inspection.created_at,
            processing_times_ms=TimesAnswer.of(inspection.processing_times),
        )

    def to_json(self) -> str:
        """One line of JSON, keys as documented (`class`, not `label`)."""
        return self.model_dump_json(by_alias=True)


class PartAnswer(BaseModel):
    """The answer to several frames of one part."""

    inspection_id: str
    verdict: Verdict = Field(
        description="Of the part: NotOK over Undefined over NotDecidable over OK."
    )
    line: str
    part_id: str | None
    frames: list[InspectionAnswer] = Field(description="In the order in which they were sent.")

    @classmethod
    def of(cls, part: PartInspection) -> PartAnswer:
        """The same inspections as callers see them."""
        return cls(
            inspection_id=part.inspection_id,
            verdict=part.verdict,
            line=part.frames[0].line,
            part_id=part.frames[0].part_id,
            frames=[InspectionAnswer.of(frame) for frame in part.frames],
        )

    def to_json(self) -> str:
        """One line of JSON, keys as documented."""
        return self.model_dump_json(by_alias=True)


class PendingAnswer(BaseModel):
    """Accepted, and not evaluated yet."""

    inspection_id: str
    verdict: Literal[Verdict.UNDEFINED] = Verdict.UNDEFINED
    reason: Literal["pending"] = "pending"


class LiveAnswer(BaseModel):
    """The process answers."""

    live: bool


class ReadyAnswer(BaseModel):
    """Pictures are accepted."""

    ready: bool
    degraded: str | None = Field(
        default=None,
        description="What is wrong although pictures are accepted: `queue_unavailable` while the "
        "api inspects by itself.",
    )


class FieldFault(BaseModel):
    """What is wrong with one parameter."""

    field: str
    detail: str


class Problem(BaseModel):
    """Why there is no verdict (RFC 9457). Machines look at `status` and `code`."""

    type: str = "about:blank"
    title: str = Field(description="What the status means.")
    status: int
    detail: str = Field(description="What is wrong and what to do, for people.")
    code: str = Field(description="What is wrong, a stable word for machines.")
    errors: list[FieldFault] | None = Field(default=None, description="With 422: by parameter.")
    verdict: Verdict | None = Field(
        default=None,
        description="`Undefined` when the picture may well be good and was not evaluated.",
    )
    reason: str | None = Field(
        default=None,
        description="With a verdict: why it is `Undefined`. With an unusable artifact: what is wrong.",
    )
    inspection_id: str | None = Field(
        default=None, description="When the picture had been accepted."
    )
    error_id: str | None = Field(default=None, description="The server's log has this id too.")
    frames: list[InspectionAnswer] | None = Field(
        default=None, description="With several frames of one part: what each came to."
    )

    def to_json(self) -> str:
        """One line of JSON, without the members that say nothing here."""
        members = self.model_dump(mode="json", by_alias=True)
        return json.dumps({name: value for name, value in members.items() if value is not None})
