"""LoadedModels with an Inspector before it and fake engines behind it, some versions of the tiny model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fakes import (
    FakeEngine,
    InlineExecutor,
    ManualClock,
    RecordingModelTelemetry,
    RecordingTelemetry,
)
from rig import LINE_OPTIONS, STALL_LIMIT_S
from tiny_artifact import tiny_manifest

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.inspector import InspectionRequest, Inspector, InspectorLimits
from flawline.application.lane import Lane
from flawline.application.line_watch import LineWatch
from flawline.application.loaded_models import LoadedModels
from flawline.application.models import Artifact
from flawline.application.proving import Prover
from flawline.application.stages import Stages
from flawline.application.worker import BatchWorker
from flawline.core.batching import BatchPolicy
from flawline.core.model_errors import UnknownModel, UnusableArtifact
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.values import Inspection, ModelInfo
from flawspec.decoding import DecodeLimits
from flawspec.errors import ArtifactError
from flawspec.labels import LabelSet
from flawspec.manifest import ArtifactManifest

LOAD_LIMIT_S = 120.0
LEAVE_S = 61.0
# What the versions of the model `tiny` say of a picture that is half bright.
THRESHOLDS = {"1": 0.5, "2": 0.9, "3": 0.3, "4": 0.7}


def manifest_of(version: str) -> ArtifactManifest:
    """Version 3 knows other classes than the others."""
    labels = ("dent", "rust") if version == "3" else ("scratch", "pit")
    return tiny_manifest(
        model_version=version,
        score_thresholds=(THRESHOLDS[version], 0.35),
        labels=LabelSet(labels),
        created_at=f"2026-01-0{version}T00:00:00Z",
    )


@dataclass
class FakeArtifact:
    rig: ModelRig
    version: str
    engine: FakeEngine

    @property
    def info(self) -> ModelInfo:
        manifest = manifest_of(self.version)
        return ModelInfo(
            name=manifest.model_name,
            version=self.version,
            sha256=self.rig.hashes[self.version],
            labels=manifest.labels.names,
            input_width_px=manifest.input_width_px,
            input_height_px=manifest.input_height_px,
            score_thresholds=dict(
                zip(manifest.labels.names, manifest.score_thresholds, strict=True)
            ),
            metrics=manifest.metrics,
            metrics_split=manifest.metrics_split,
            license_note=manifest.license_note,
            created_at=manifest.created_at,
        )

    def lane(self) -> Lane:
        rig, manifest, info = self.rig, manifest_of(self.version), self.info
        pipeline = InspectionPipeline(manifest, DecodeLimits())
        recipes = RecipeBook((default_recipe(manifest),))
        queue = MemoryQueue(64, rig.clock)
        worker = BatchWorker(
            queue=queue,
            engine=self.engine,
            stages=Stages(pipeline, recipes, info.ref, rig.clock),
            clock=rig.clock,
            telemetry=rig.telemetry,
            policy=BatchPolicy(4),
            stall_limit_s=STALL_LIMIT_S,
        )
        return Lane(info, recipes, pipeline, queue, self.engine, worker)

    def unusable(self, error: ArtifactError) -> UnusableArtifact:
        return UnusableArtifact(error.code, str(error))


@dataclass
class ModelRig:
    """`async with` it; version 1 is stable. The engine of each version is the last one made."""

    max_loaded: int = 2
    allowed: bool = True
    lines: tuple[str, ...] = ()
    clock: ManualClock = field(default_factory=ManualClock)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    models_telemetry: RecordingModelTelemetry = field(default_factory=RecordingModelTelemetry)
    engines: dict[str, FakeEngine] = field(default_factory=dict)
    next_engine: FakeEngine | None = None
    find_error: Exception | None = None

    def __post_init__(self) -> None:
        self.hashes = {version: version * 64 for version in THRESHOLDS}
        self.models = LoadedModels(
            self.artifact("1").lane(),
            self,
            prover=Prover(self.clock, LOAD_LIMIT_S, 4),
            telemetry=self.models_telemetry,
            max_loaded=self.max_loaded,
            leave_s=LEAVE_S,
            allowed=self.allowed,
        )
        self.inspector = Inspector(
            models=self.models,
            clock=self.clock,
            telemetry=self.telemetry,
            answers=MemoryAnswers(600.0, self.clock),
            limits=InspectorLimits(DecodeLimits()),
            intake=InlineExecutor(),
            watch=LineWatch(
                self.lines, lambda _: ("scratch", "pit"), LINE_OPTIONS, self.clock, self.telemetry
            ),
        )

    async def __aenter__(self) -> ModelRig:
        await self.models.start()
        self.inspector.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for engine in self.engines.values():
            engine.release()
            engine.release_loading()
        await self.models.close()

    def artifact(self, version: str) -> FakeArtifact:
        engine, self.next_engine = self.next_engine or FakeEngine(), None
        self.engines[version] = engine
        return FakeArtifact(self, version, engine)

    async def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(
            Artifact(f"tiny-{v}.onnx", FakeArtifact(self, v, FakeEngine()).info) for v in THRESHOLDS
        )

    async def find(self, name: str, version: str | None) -> FakeArtifact:
        if self.find_error is not None:
            raise self.find_error
        wanted = version or max(THRESHOLDS)
        if name != "tiny" or wanted not in THRESHOLDS:
            raise UnknownModel(name, version, [f"tiny {v}" for v in THRESHOLDS])
        return self.artifact(wanted)

    @property
    def stable(self) -> str:
        return self.models.stable.info.version

    @property
    def loaded(self) -> list[str]:
        return [info.version for info in self.models.loaded()]

    def ask(self, picture: bytes, **options: Any) -> asyncio.Task[Inspection]:
        """Inspect, without waiting for the answer."""
        return asyncio.create_task(self.inspector.inspect(InspectionRequest(picture, **options)))
