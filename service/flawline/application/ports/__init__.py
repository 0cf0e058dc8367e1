"""What the use cases need of the outside, and nothing more."""

from flawline.application.ports.clock import Clock, Timer
from flawline.application.ports.engine import InferenceEngine, NothingToRun, StartableEngine
from flawline.application.ports.memory import AnswerMemory, InspectionFeed, TicketMemory
from flawline.application.ports.queue import (
    EXTENSIONS_PER_LEASE,
    JobIntake,
    JobQueue,
    JobSource,
    LocalQueue,
)
from flawline.application.ports.telemetry import (
    InspectionSpan,
    ModelTelemetry,
    Telemetry,
    Traces,
    WorkerTelemetry,
)

__all__ = [
    "EXTENSIONS_PER_LEASE",
    "AnswerMemory",
    "Clock",
    "InferenceEngine",
    "InspectionFeed",
    "InspectionSpan",
    "JobIntake",
    "JobQueue",
    "JobSource",
    "LocalQueue",
    "ModelTelemetry",
    "NothingToRun",
    "StartableEngine",
    "Telemetry",
    "TicketMemory",
    "Timer",
    "Traces",
    "WorkerTelemetry",
]
