"""How lines are watched: frames, cameras, defect rates."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from flawline.core.frame_limits import FrameLimits
from flawline.core.line_options import CameraOptions, DefectRateOptions, LineOptions


class WatchSettings(BaseSettings):
    """The part of FlawlineSettings that quality engineers look at."""

    frame_checks: bool = Field(
        True,
        description="Measure every frame, and call it NotDecidable when no verdict can rest on it.",
    )
    min_brightness: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Frames of less mean brightness are black, and so are 12 bit sent as 16; 0 allows all.",
    )
    max_saturated: float = Field(
        0.95, ge=0, le=1, description="Frames with more white are over-exposed; 1 allows all."
    )
    min_contrast: float = Field(
        0.003, ge=0, le=1, description="Frames of less contrast (deviation) are flat; 0 allows all."
    )
    min_sharpness: float = Field(
        0.1, ge=0, le=2, description="Frames of less sharpness are blurred; 0 allows all."
    )
    lost_below: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="On a declared line, a frame with less than this share of the brightness, "
        "contrast or sharpness of its line's base line is not to be trusted; 0 trusts all.",
    )
    soft_below: float = Field(
        0.65,
        ge=0,
        lt=1,
        description="On a declared line, frames are blurred while the mean sharpness of the last ones "
        "is below this share of its line's base line, until it is half of the way back; 0 trusts all.",
    )
    frozen_frames: int = Field(
        3,
        ge=0,
        description="On a declared line, so many identical frames in a row, of different parts or "
        "of none, mean that the camera hangs; 0 trusts all.",
    )
    same_size: bool = Field(
        True,
        description="On a declared line whose frames have one size, trust no frame of another.",
    )
    baseline_frames: int = Field(
        1_000,
        ge=50,
        le=5_000,
        description="From how many frames a declared line's base line is learned, anew after each "
        "start.",
    )
    defect_rate_window: int = Field(
        200,
        ge=20,
        le=5_000,
        description="Over how many of a line's last frames its defect rate is shown.",
    )
    false_alarm_frames: int = Field(
        1_000_000,
        ge=1_000,
        description="So many steady frames lie between two false alarms of the defect rate, at "
        "least, on average; fewer finds changes sooner.",
    )

    @property
    def frame_limits(self) -> FrameLimits | None:
        """What one frame must have; None measures none."""
        return self.single_frame_limits if self.frame_checks else None

    @property
    def single_frame_limits(self) -> FrameLimits:
        """What a frame must have where frames are measured."""
        return FrameLimits(
            min_brightness=self.min_brightness,
            max_saturated=self.max_saturated,
            min_contrast=self.min_contrast,
            min_sharpness=self.min_sharpness,
        )

    @property
    def line_options(self) -> LineOptions:
        """How declared lines are watched."""
        return LineOptions(
            CameraOptions(
                learn=self.baseline_frames,
                lost_below=self.lost_below,
                frozen_frames=self.frozen_frames,
                same_size=self.same_size,
                soft_below=self.soft_below,
            ),
            DefectRateOptions(
                learn=self.baseline_frames,
                window=self.defect_rate_window,
                false_alarm_frames=self.false_alarm_frames,
            ),
        )
