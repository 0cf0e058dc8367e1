"""An Inspector that does what a test tells it, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from fakes import ManualClock

from flawline.adapters.memory_queue import MemoryQueue
from flawline.application.inspector import InspectionRequest, Readiness
from flawline.application.models import RolledOutModels, ServingModel
from flawline.core.errors import NotReady
from flawline.core.recipe import Recipe, RecipeBook
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
    Verdict,
)

MODEL = ModelInfo(
    name="tiny",
    version="1.2.3",
    sha256="ab" * 32,
    labels=("scratches", "patches"),
    input_width_px=64,
    input_height_px=64,
    score_thresholds={"scratches": 0.3, "patches": 0.4},
    metrics={"map50": 0.7},
    metrics_split="val",
    license_note="Apache-2.0",
    created_at="2026-01-02T03:04:05Z",
)

NOT_OK = Inspection(
    inspection_id="0123456789abcdef0123456789abcdef",
    verdict=Verdict.NOT_OK,
    reasons=(Reason("defect", "scratches with score 0.875."),),
    detections=(
        Detection("scratches", 0.875, Box(1.5, 2.0, 30.25, 40.0)),
        Detection("patches", 0.5, Box(0.0, 0.0, 10.0, 12.0)),
    ),
    frame=FrameInfo(200, 100, "cd" * 32),
    line="press-2",
    part_id="SN-1",
    recipe=RecipeRef("default", "1"),
    model=ModelRef("tiny", "1.2.3", "ab" * 32),
    created_at=datetime(2026, 1, 31, 8, 15, 30, 123456, tzinfo=timezone.utc),
    processing_times=ProcessingTimes(1.0, 2.0, 3.0, 4.0, 5.0, 15.00049),
)
OK = replace(NOT_OK, verdict=Verdict.OK, reasons=(), detections=(), part_id=None)
TOO_LATE = replace(
    NOT_OK,
    verdict=Verdict.UNDEFINED,
    reasons=(Reason("deadline", "No verdict within 5 ms."),),
    detections=(),
)


def models_of(inspector: ScriptedInspector) -> RolledOutModels:
    """The models that a protocol is handed beside that Inspector; nothing is ever queued for them."""
    recipes = RecipeBook((Recipe("default", "1", MODEL.score_thresholds),))
    return RolledOutModels(
        ServingModel(MODEL, recipes, MemoryQueue(1, ManualClock()), lambda: inspector.ready.reason)
    )


class ScriptedInspector:
    """Answers every request with `outcome`: an Inspection, an exception to raise, or a function."""

    def __init__(self, outcome: Inspection | Exception | Callable = NOT_OK) -> None:
        self.outcome = outcome
        self.ready = Readiness(ready=True)
        self.requests: list[InspectionRequest] = []
        self.refusals: list[str] = []
        self.asked = asyncio.Event()
        self.draining = asyncio.Event()

    async def inspect(
        self, request: InspectionRequest, accepted: Callable[[float], None] = lambda _: None
    ) -> Inspection:
        self.requests.append(request)
        self.asked.set()
        if not isinstance(self.outcome, Exception):
            accepted(time.monotonic() + 60)
        if callable(self.outcome):
            return await self.outcome(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def refused(self, code: str) -> None:
        self.refusals.append(code)

    def models(self) -> tuple[ModelInfo, ...]:
        return (MODEL,)

    def readiness(self) -> Readiness:
        return self.ready

    def check_ready(self) -> None:
        if self.ready.reason is not None:
            raise NotReady(self.ready.reason, 2.0)

    async def until_draining(self) -> None:
        await self.draining.wait()
