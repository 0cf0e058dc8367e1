"""An Inspector with everything behind it, on fakes: what embedded mode is, less the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from fakes import FakeEngine, InlineExecutor, ManualClock, RecordingTelemetry
from tiny_artifact import tiny_manifest

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.crew import Crew
from flawline.application.inspector import InspectionRequest, Inspector, InspectorLimits
from flawline.application.job import Job
from flawline.application.line_watch import LineWatch
from flawline.application.models import RolledOutModels, ServingModel
from flawline.application.ports import Traces
from flawline.application.stages import Stages
from flawline.application.traces import NoTraces
from flawline.application.worker import BatchWorker
from flawline.core.batching import BatchPolicy
from flawline.core.errors import QueueFull
from flawline.core.line_options import CameraOptions, DefectRateOptions, LineOptions
from flawline.core.pipeline import InspectionPipeline
from flawline.core.quality import FrameLimits
from flawline.core.recipe import RecipeBook, default_recipe
from flawline.core.tiling import Tiling
from flawline.core.values import Inspection, ModelInfo
from flawspec.decoding import DecodeLimits

STALL_LIMIT_S = 5.0
LINE_OPTIONS = LineOptions(
    CameraOptions(learn=20, lost_below=0.4, frozen_frames=3, same_size=True),
    DefectRateOptions(learn=20, window=10, false_alarm_frames=10_000),
)
MODEL = ModelInfo(
    name="tiny",
    version="1.2.3",
    sha256="ab" * 32,
    labels=("scratch", "pit"),
    input_width_px=64,
    input_height_px=64,
    score_thresholds={"scratch": 0.5, "pit": 0.35},
    metrics={"map50": 0.5},
    metrics_split="val",
    license_note="made for tests",
    created_at="2026-01-01T00:00:00Z",
)


class RefusingQueue(MemoryQueue):
    """Full for the next so many jobs, when a test says so; remembers what it accepted."""

    def __init__(self, capacity: int, clock: ManualClock) -> None:
        super().__init__(capacity, clock)
        self.accepted: list[Job] = []
        self._refusals = 0

    def refuse_next(self, count: int) -> None:
        self._refusals = count

    async def submit(self, job: Job) -> None:
        if self._refusals:
            self._refusals -= 1
            raise QueueFull(1.0)
        await super().submit(job)
        self.accepted.append(job)


@dataclass
class Rig:
    max_batch: int = 8
    parallel: int = 1
    batches: int | None = None
    capacity: int = 256
    large_picture_bytes: int = 1 << 20
    shared: bool = False
    extend_every_s: float | None = None
    publish: Callable[[Inspection], None] = lambda _: None
    lines: tuple[str, ...] = ()
    line_options: LineOptions = LINE_OPTIONS
    frame_limits: FrameLimits | None = None
    tiling: Tiling | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    engine: FakeEngine = field(default_factory=FakeEngine)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    spread: Executor | None = None
    intake: InlineExecutor = field(default_factory=InlineExecutor)
    traces: Traces = field(default_factory=NoTraces)
    crew: Crew | None = None

    def __post_init__(self) -> None:
        limits = DecodeLimits()
        manifest = tiny_manifest()
        recipes = RecipeBook((default_recipe(manifest),))
        self.queue = RefusingQueue(self.capacity, self.clock)
        self.answers = MemoryAnswers(600.0, self.clock)
        self.worker = BatchWorker(
            queue=self.queue,
            engine=self.engine,
            stages=Stages(
                InspectionPipeline(manifest, limits, self.tiling),
                recipes,
                MODEL.ref,
                self.clock,
                self.frame_limits,
            ),
            clock=self.clock,
            telemetry=self.telemetry,
            spread=self.spread,
            policy=BatchPolicy(self.max_batch, self.parallel),
            batches=self.batches,
            stall_limit_s=STALL_LIMIT_S,
            shared=self.shared,
            extend_every_s=self.extend_every_s,
            traces=self.traces,
            crew=self.crew,
        )
        self.watch = LineWatch(
            self.lines, lambda _: MODEL.labels, self.line_options, self.clock, self.telemetry
        )
        self.inspector = Inspector(
            models=RolledOutModels(ServingModel(MODEL, recipes, self.queue, self.worker.fault)),
            clock=self.clock,
            telemetry=self.telemetry,
            answers=self.answers,
            limits=InspectorLimits(limits, large_picture_bytes=self.large_picture_bytes),
            intake=self.intake,
            watch=self.watch,
            publish=self.publish,
            traces=self.traces,
        )

    @property
    def intake_seen(self) -> list[Job]:
        """The jobs that were accepted, in their order."""
        return self.queue.accepted

    async def __aenter__(self) -> Rig:
        self.worker.start()
        self.inspector.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.engine.release()
        await self.worker.stop()

    async def inspect(self, picture: bytes, **options: Any) -> Inspection:
        return await self.inspector.inspect(InspectionRequest(picture, **options))

    def ask(self, picture: bytes, **options: Any) -> asyncio.Task[Inspection]:
        """Inspect, without waiting for the answer."""
        return asyncio.create_task(self.inspect(picture, **options))
