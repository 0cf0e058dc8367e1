"""How a line is watched: numbers alone. Here no line is watched, so that settings need no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """learn: frames that make the base line.

    lost_below: a frame with less than that share of the base line's brightness, contrast or
    sharpness is not to be trusted, if it is also well beneath nearly all of the base line's frames;
    0: not checked. frozen_frames: from so many identical frames in a row on the camera hangs; 0: not
    checked. same_size: frames of another size than the base line's are not to be trusted.
    soft_below: frames are blurred while the mean sharpness of the last ones is below that share of the
    base line's; 0: not checked.
    """

    learn: int
    lost_below: float
    frozen_frames: int
    same_size: bool
    soft_below: float = 0.65


@dataclass(frozen=True, slots=True)
class DefectRateOptions:
    """learn: frames that make the base line. window: frames of the rate shown, and of its limits.

    false_alarm_frames: how many steady frames pass between two false alarms, at least, on average.
    """

    learn: int
    window: int
    false_alarm_frames: float


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How a line is watched."""

    camera: CameraOptions
    defect_rate: DefectRateOptions
