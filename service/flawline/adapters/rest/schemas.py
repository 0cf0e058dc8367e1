"""The JSON that callers send and get, and its making from core values."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from flawline.core.priority import Priority
from flawline.core.values import Detection, Inspection, ModelInfo, ProcessingTimes, Verdict


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Rfc3339 = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


class InspectionQuery(BaseModel):
    """The query of an inspection; its ranges stand here for the docs, the Inspector checks."""

    model_config = ConfigDict(extra="forbid")

    line: str | None = Field(
        default=None,
        description="Where the picture was taken; `default` when left out. Lines that the service "
        "was not told of are inspected too, and counted as `other`.",
        examples=["press-2"],
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
    )
    part_id: str | None = Field(
        default=None,
        description="The serial number that the MES knows; printable characters.",
        examples=["SN-0042"],
        json_schema_extra={"minLength": 1, "maxLength": 128},
    )
    recipe: str | None = Field(
        default=None,
        description="What counts as a defect on this product; `default` when left out.",
        examples=["default"],
    )
    min_score: float | None = Field(
        default=None,
        description="Takes the place of the recipe's score thresholds for this picture.",
        examples=[0.4],
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    deadline_ms: int | None = Field(
        default=None,
        description="Answer within so many milliseconds, from the moment the body has arrived.",
        examples=[500],
        json_schema_extra={"minimum": 1},
    )
    priority: str | None = Field(
        default=None,
        description="Which work goes first: `inline` (a part waits at the gate; the default) before "
        "`reinspection` (a person waits) before `backfill` (nobody waits).",
        examples=["inline"],
        json_schema_extra={"enum": [priority.value for priority in Priority]},
    )


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
    """The artifact that looked."""

    name: str
    version: str
    sha256: str


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
        frame, recipe, model = inspection.frame, inspection.recipe, inspection.model
        return cls(
            inspection_id=inspection.inspection_id,
            verdict=inspection.verdict,
            reasons=[ReasonAnswer(code=r.code, detail=r.detail) for r in inspection.reasons],
            detections=[DetectionAnswer.of(detection) for detection in inspection.detections],
            frame=FrameAnswer(width=frame.width_px, height=frame.height_px, sha256=frame.sha256),
            line=inspection.line,
            part_id=inspection.part_id,
            recipe=RecipeAnswer(name=recipe.name, version=recipe.version),
            model=ModelAnswer(name=model.name, version=model.version, sha256=model.sha256),
            created_at=inspection.created_at,
            processing_times_ms=TimesAnswer.of(inspection.processing_times),
        )

    def to_json(self) -> str:
        """One line of JSON, keys as documented (`class`, not `label`)."""
        return self.model_dump_json(by_alias=True)


class InputSizeAnswer(BaseModel):
    """Pixels that the network sees; pictures of any size are fitted into them."""

    width: int
    height: int


class LoadedModelAnswer(BaseModel):
    """One artifact that inspects, as its manifest describes it."""

    name: str
    version: str
    sha256: str
    classes: list[str]
    input: InputSizeAnswer
    score_thresholds: dict[str, float] = Field(description="Suggested, one a class.")
    metrics: dict[str, float] = Field(description="As measured on `metrics_split` at release.")
    metrics_split: str
    license_note: str
    created_at: str
    workers: int | None = Field(
        default=None,
        description="How many worker processes inspect with it; null where the api itself does.",
    )

    @classmethod
    def of(cls, info: ModelInfo) -> LoadedModelAnswer:
        """The same artifact as callers see it."""
        return cls(
            name=info.name,
            version=info.version,
            sha256=info.sha256,
            classes=list(info.labels),
            input=InputSizeAnswer(width=info.input_width_px, height=info.input_height_px),
            score_thresholds=dict(info.score_thresholds),
            metrics=dict(info.metrics),
            metrics_split=info.metrics_split,
            license_note=info.license_note,
            created_at=info.created_at,
            workers=info.workers,
        )


class ModelsAnswer(BaseModel):
    """Everything that inspects here."""

    models: list[LoadedModelAnswer]


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
    reason: str | None = Field(default=None, description="With a verdict: why it is `Undefined`.")
    inspection_id: str | None = Field(
        default=None, description="When the picture had been accepted."
    )
    error_id: str | None = Field(default=None, description="The server's log has this id too.")
