"""The frozen values that pass between stages. Units and coordinate frames are stated here, once.

Pixels of a box are those of the frame as received (after its EXIF orientation), x to the right, y
down, origin at the top left corner of the top left pixel. Scores lie in 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # settings need some of these values, and no numpy
    import numpy as np
    from numpy.typing import NDArray


PIXEL_DECIMALS = 2
"""Of a box's sides: below hundredths of a pixel lies the noise of float32."""


class Verdict(str, Enum):
    """Result evaluation in the words of OPC 40001-101; the value is the word that callers see."""

    OK = "OK"
    NOT_OK = "NotOK"
    NOT_DECIDABLE = "NotDecidable"
    UNDEFINED = "Undefined"


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-parallel box in frame pixels; 0 <= x_min <= x_max <= width, likewise y."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def shorter_side_px(self) -> float:
        """The smaller of width and height, in frame pixels."""
        return min(self.x_max - self.x_min, self.y_max - self.y_min)


@dataclass(frozen=True, slots=True)
class Detection:
    """One flaw found: class name (`class` in answers), score 0..1, box in frame pixels."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict was given: a stable machine word, and a sentence for a person."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """The picture as received: size in pixels after EXIF orientation, sha256 (hex) of the bytes.

    All three are empty (0, 0, "") when the deadline passed before the picture could be looked at.
    """

    width_px: int
    height_px: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecipeRef:
    """Which recipe decided."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which artifact looked: name and version from its manifest, sha256 (hex) of the file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Milliseconds by stage; `queue` is all waiting, before decoding and for the engine."""

    queue_ms: float = 0.0
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    postprocess_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ProcessingTimes:
    """Milliseconds by stage, and in total as the caller waited; a stage not reached stays 0."""

    queue_ms: float
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """One frame, what was found on it, and what was decided. `created_at` is UTC."""

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
    processing_times: ProcessingTimes


@dataclass(frozen=True, slots=True)
class PartInspection:
    """Several frames of one part, in the order in which they were given: at least one.

    verdict: of the part, as `flawline.core.verdict.combined` makes it of the frames'.
    """

    inspection_id: str
    verdict: Verdict
    frames: tuple[Inspection, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What callers may know of a loaded artifact, in the words of its manifest.

    workers: how many processes inspect with it; None where this process does.
    """

    name: str
    version: str
    sha256: str
    labels: tuple[str, ...]
    input_width_px: int
    input_height_px: int
    score_thresholds: Mapping[str, float]
    metrics: Mapping[str, float]
    metrics_split: str
    license_note: str
    created_at: str
    workers: int | None = None

    @property
    def ref(self) -> ModelRef:
        """The short form that answers carry."""
        return ModelRef(self.name, self.version, self.sha256)


@dataclass(frozen=True, slots=True)
class RawOutput:
    """What a network says of N pictures with A anchors and C classes.

    boxes_xyxy: float32 [N, A, 4], x_min y_min x_max y_max in input pixels (not frame pixels).
    scores: float32 [N, A, C], 0..1.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
