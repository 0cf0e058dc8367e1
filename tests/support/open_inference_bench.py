"""The Open Inference Protocol on a scripted inspector, and on an engine that a test can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from fakes import FakeEngine, ManualClock
from scripted_inspector import MODEL, ScriptedInspector

from flawline.adapters.open_inference import (
    InferenceLimits,
    InferenceService,
    OpenInferenceRoutes,
    OpenInferenceServicer,
    RepositoryService,
)
from flawline.adapters.open_inference.rest_body import BodyReader
from flawline.application.models import Artifact
from flawline.application.open_work import OpenWork
from flawline.application.raw_inference import RawInference, RawLimits
from flawline.application.request_room import RequestRoom
from flawline.application.shared_engine import SharedEngine
from flawline.application.statistics import Statistics
from flawline.core.model_errors import UnknownModel
from flawline.core.values import ModelInfo

MAX_REQUEST_BYTES = 8 * 1024 * 1024
MAX_BATCH = 4
OTHER = replace(MODEL, name="other", version="2.0.0", sha256="cd" * 32)


class ScriptedControl:
    """One model is loaded, a second one could be, a third file is broken."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str | None]] = []
        self.error: Exception | None = None
        self.models = [MODEL]

    def loaded(self) -> tuple[ModelInfo, ...]:
        return tuple(self.models)

    async def artifacts(self) -> tuple[Artifact, ...]:
        return (
            Artifact("tiny.onnx", MODEL),
            Artifact("other.onnx", OTHER),
            Artifact("broken.onnx", fault="it is no ONNX file"),
        )

    async def load(self, name: str, version: str | None = None) -> ModelInfo:
        self._note("load", name, version)
        return MODEL

    async def unload(self, name: str, version: str | None = None) -> None:
        self._note("unload", name, version)

    def _note(self, change: str, name: str, version: str | None) -> None:
        if self.error is not None:
            raise self.error
        self.changes.append((change, name, version))


@dataclass
class LentModel:
    info: ModelInfo
    engine: SharedEngine


@dataclass
class OpenInferenceBench:
    inspector: ScriptedInspector
    clock: ManualClock = field(default_factory=ManualClock)
    engine: FakeEngine = field(default_factory=FakeEngine)
    control: ScriptedControl = field(default_factory=ScriptedControl)
    statistics: Statistics = field(default_factory=Statistics)
    work: OpenWork = field(default_factory=OpenWork)

    def __post_init__(self) -> None:
        self.shared = SharedEngine(self.engine, self.clock)
        self.raw = RawInference(
            self,
            statistics=self.statistics,
            clock=self.clock,
            check_ready=self.inspector.check_ready,
            work=self.work,
            limits=RawLimits(MAX_BATCH, capacity=8, deadline_ms=1000, max_deadline_ms=60_000),
        )
        limits = InferenceLimits(MAX_REQUEST_BYTES, max_pictures=16, deadline_ms=1000)
        self.inference = InferenceService(self.inspector, self.raw, limits)
        self.repository = RepositoryService(self.control, with_raw=True)

    @contextmanager
    def lane(self, name: str, version: str | None = None) -> Iterator[LentModel]:
        if name != MODEL.name:
            raise UnknownModel(name, version, [MODEL.name])
        yield LentModel(MODEL, self.shared)

    def routes(self) -> OpenInferenceRoutes:
        bodies = BodyReader(self.inspector, RequestRoom(2 * MAX_REQUEST_BYTES), timeout_s=0.2)
        return OpenInferenceRoutes(self.inference, self.repository, self.statistics, bodies)

    def servicer(self) -> OpenInferenceServicer:
        return OpenInferenceServicer(
            self.inference, self.repository, self.statistics, lambda metadata: "somebody"
        )
