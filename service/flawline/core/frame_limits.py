"""What was measured on a frame, and what it must have. Here nothing is measured, so that settings need no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from flawline.core.values import Reason


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """What the grey levels of one frame say of the camera.

    brightness: their mean, 0..1 of full scale. contrast: their standard deviation, 0..0.5 of full
    scale. sharpness: of `flawline.core.sharpness`, near 1 for steel in focus, towards 0 for a blurred
    frame, 0 for a flat one. saturated: share of the pixels that are white, 0..1.
    """

    brightness: float
    contrast: float
    sharpness: float
    saturated: float


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Beyond these no verdict can rest on a frame; the defaults allow all."""

    min_brightness: float = 0.0
    max_saturated: float = 1.0
    min_contrast: float = 0.0
    min_sharpness: float = 0.0

    def fault(self, quality: FrameQuality) -> Reason | None:
        """Why the frame is not to be trusted: it is black, over-exposed, flat or blurred."""
        if quality.brightness < self.min_brightness:
            return _below("black", "Brightness", quality.brightness, self.min_brightness)
        if quality.saturated > self.max_saturated:
            share = f"{quality.saturated:.3f} of the frame is white, at most {self.max_saturated:g}"
            return Reason("over_exposed", f"{share} may be.")
        if quality.contrast < self.min_contrast:
            return _below("flat", "Contrast", quality.contrast, self.min_contrast)
        if quality.sharpness < self.min_sharpness:
            return _below("blurred", "Sharpness", quality.sharpness, self.min_sharpness)
        return None


def _below(code: str, name: str, value: float, least: float) -> Reason:
    return Reason(code, f"{name} is {value:.4f}, must be {least:g} or more.")
