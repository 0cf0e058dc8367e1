"""What comes back, the same by every protocol. Boxes are in pixels of the picture that was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from flawline.client.frame import Frame, Part


class Verdict(str, Enum):
    """Result evaluation in the words of OPC 40001-101."""

    OK = "OK"
    NOT_OK = "NotOK"
    NOT_DECIDABLE = "NotDecidable"
    UNDEFINED = "Undefined"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright picture, origin at its upper left corner."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One flaw: its class, score 0..1, and where."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable word for machines, a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """The picture: pixels when upright, sha256 (hex) of the bytes received."""

    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecipeRef:
    """The recipe that decided."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The artifact that looked."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ProcessingTimes:
    """Milliseconds by step; a step that did not happen took 0."""

    queue: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """One frame, what was found on it, and what was decided. Detections: score descending.

    Without a verdict in time it is `Undefined`, and the reasons say why; when the service never
    answered at all, `inspection_id` is empty.
    """

    inspection_id: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    detections: tuple[Detection, ...]
    frame: FrameInfo
    line: str
    part_id: str | None
    recipe: RecipeRef
    model: ModelRef
    created_at: datetime
    processing_times_ms: ProcessingTimes


@dataclass(frozen=True, slots=True)
class PartInspection:
    """Several frames of one part, with one verdict: NotOK over Undefined over NotDecidable over OK.

    frames: each picture's own, in the order in which they were sent. Where the service never answered there are none,
    and `inspection_id` is empty. reasons: why the part is `Undefined`; the others' reasons are those of their frames.
    """

    inspection_id: str
    verdict: Verdict
    frames: tuple[Inspection, ...]
    line: str
    part_id: str | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchedInspection:
    """A finished inspection. missed: how many this watcher was too slow for so far.

    gaps: how often the connection was made anew so far; what was finished in between was not heard of.
    """

    inspection: Inspection
    missed: int
    gaps: int = 0


def undefined(frame: Frame, code: str, detail: str, inspection_id: str = "") -> Inspection:
    """Not evaluated, as far as this side knows."""
    return Inspection(
        inspection_id=inspection_id,
        verdict=Verdict.UNDEFINED,
        reasons=(Reason(code, detail),),
        detections=(),
        frame=FrameInfo(0, 0, ""),
        line=frame.line or "default",
        part_id=frame.part_id,
        recipe=RecipeRef(frame.recipe or "default", ""),
        model=ModelRef("", "", ""),
        created_at=datetime.now(timezone.utc),
        processing_times_ms=ProcessingTimes(),
    )


def undefined_part(
    part: Part,
    code: str,
    detail: str,
    inspection_id: str = "",
    frames: tuple[Inspection, ...] = (),
) -> PartInspection:
    """Not evaluated, as far as this side knows."""
    return PartInspection(
        inspection_id=inspection_id,
        verdict=Verdict.UNDEFINED,
        frames=frames,
        line=part.line or "default",
        part_id=part.part_id,
        reasons=(Reason(code, detail),),
    )
