"""The JSON about models that callers send and get."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flawline.adapters.rest.schemas import ModelAnswer
from flawline.application.models import Artifact, ModelControl
from flawline.core.values import ModelInfo, ModelRef

_NAME = Field(min_length=1, max_length=64, examples=["mobilemamba-nano-neu"])


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
    stable: bool = Field(description="Whether it inspects for requests that name no model.")
    workers: int | None = Field(
        default=None,
        description="How many worker processes inspect with it; null where the api itself does.",
    )

    @classmethod
    def of(cls, info: ModelInfo, stable: ModelRef) -> LoadedModelAnswer:
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
            stable=info.ref == stable,
            workers=info.workers,
        )


class ModelsAnswer(BaseModel):
    """Everything that inspects here, the stable model first."""

    models: list[LoadedModelAnswer]


class StableBody(BaseModel):
    """Which model shall be stable."""

    model_config = ConfigDict(extra="forbid")

    name: str = _NAME
    version: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Left out: of the artifacts of that name the one made last.",
        examples=["0.2.0"],
    )


class NamedModelBody(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid")

    name: str = _NAME
    version: str = Field(min_length=1, max_length=64, examples=["0.2.0"])


class RollBackBody(BaseModel):
    """The model to turn away from."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)

    former: NamedModelBody = Field(
        alias="from", description="What is stable now; a repeat then cannot go back twice."
    )


class StableAnswer(BaseModel):
    """The model of requests that name none."""

    stable: ModelAnswer
    previous: ModelAnswer | None = Field(description="Where a roll back leads; null for nowhere.")

    @classmethod
    def of(cls, models: ModelControl) -> StableAnswer:
        """As it is at this moment."""
        previous = models.previous
        return cls(
            stable=ModelAnswer.of(models.stable.info.ref),
            previous=None if previous is None else ModelAnswer.of(previous),
        )


class ArtifactAnswer(BaseModel):
    """One file that could be loaded, or what is wrong with it."""

    file: str = Field(description="Its name, without the folder.")
    model: ModelAnswer | None = Field(description="Null when the file cannot be used.")
    created_at: str | None
    loaded: bool
    fault: str | None = Field(description="Why it cannot be used.")

    @classmethod
    def of(cls, artifact: Artifact, loaded: frozenset[ModelRef]) -> ArtifactAnswer:
        """The same file as callers see it."""
        info = artifact.info
        return cls(
            file=artifact.file,
            model=None if info is None else ModelAnswer.of(info.ref),
            created_at=None if info is None else info.created_at,
            loaded=info is not None and info.ref in loaded,
            fault=artifact.fault,
        )


class ArtifactsAnswer(BaseModel):
    """What could be loaded here."""

    artifacts: list[ArtifactAnswer]
