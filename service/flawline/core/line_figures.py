"""How a line does, as figures: what its base line is, and how far it has left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Alarm(str, Enum):
    """What a person should look at; the value is the word in metrics and logs."""

    CAMERA = "camera"
    DEFECT_RATE = "defect_rate"
    SCORE_DRIFT = "score_drift"


class LineState(str, Enum):
    """What the alarms together say.

    A camera that changed changes defect rate and scores too, so it comes first: the steel changed
    when defect rate or scores did although the camera is what it was.
    """

    LEARNING = "learning"
    STEADY = "steady"
    CAMERA_CHANGED = "camera_changed"
    STEEL_CHANGED = "steel_changed"


@dataclass(frozen=True, slots=True)
class Tracked:
    """A quantity, smoothed, and its base line; None while it is not known.

    deviation: how far it is from the base line, signed; 1 and -1 are the limits.
    """

    value: float | None = None
    baseline: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class RateFigures:
    """Defect rate of the last window, its base line and control limits, 0..1; None while unknown.

    deviation: evidence that the rate left its base line, signed; 1 (a rise) and -1 (a fall) are
    the limits.
    """

    rate: float | None = None
    baseline: float | None = None
    lower_limit: float | None = None
    upper_limit: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class LineFigures:
    """One declared line.

    silent_s: seconds since its last frame. frames: how many came. learned: 0..1, how much of the base line is there.
    quality: by measure of `flawline.core.quality`. scores: by class.
    """

    line: str
    silent_s: float
    frames: int = 0
    learned: float = 0.0
    state: LineState = LineState.LEARNING
    alarms: frozenset[Alarm] = frozenset()
    quality: Mapping[str, Tracked] = field(default_factory=dict)
    defect_rate: RateFigures = RateFigures()
    scores: Mapping[str, Tracked] = field(default_factory=dict)
