"""A line that is played through in seconds: what its alarms say when this or that goes wrong.

Frames are drawn, given fresh noise, and measured like real ones. The detector is not run: whether a
part is flawed, and with what score that is found, is drawn by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.core.line import AlarmChange, Line
from flawline.core.line_options import LineOptions
from flawline.core.quality import FrameLimits, measure
from flawline.core.values import Box, Detection
from flawline.samples.generator import generate_frame

LABEL = "scratches"
_MODEL = "simulated"
_SIDE_PX = 128
_SHEET_ROOM_PX = 512
_FLICKER = 0.03
_NOISE_LEVELS = 4.0
_NOISE_DRAWN = 16
_BLUR_STEP_PX = 0.05
_SCORES_BETA = (8.0, 3.0)
_BOX = Box(10.0, 10.0, 40.0, 20.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a line once its base line is learned; until then all is steady.

    defect_rate: true share of flawed parts, 0..1. fade: share of the first brightness that is lost
    each minute. rise: what is added to the defect rate each minute. blur_px: by how much the lens
    goes out of focus each minute, as the sigma of a Gaussian.
    """

    name: str
    frames: int
    frames_per_minute: float
    defect_rate: float
    fade: float = 0.0
    rise: float = 0.0
    blur_px: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """An alarm that was raised or is over, at that frame, so many seconds after the first."""

    frame: int
    at_s: float
    change: AlarmChange


def play(
    scenario: Scenario, options: LineOptions, limits: FrameLimits, seed: int
) -> Iterator[Event]:
    """What the line's alarms do. The same seed gives the same events."""
    rng = np.random.default_rng(seed)
    line, frames = Line(options, lambda _: (LABEL,)), _Frames(rng)
    learn = options.camera.learn
    for number in range(scenario.frames):
        minutes = max(0, number - learn) / scenario.frames_per_minute
        grey = frames.next(max(0.0, 1.0 - scenario.fade * minutes), scenario.blur_px * minutes)
        quality = measure(grey)
        trusted = limits.fault(quality) is None
        lost = line.look(quality, (_SIDE_PX, _SIDE_PX), trusted=trusted)
        if trusted and lost is None:
            rate = min(1.0, scenario.defect_rate + scenario.rise * minutes)
            found = _found(rng) if rng.random() < rate else ()
            line.decided(_MODEL, bool(found), found)
        at_s = number * 60.0 / scenario.frames_per_minute
        for change in line.changes():
            yield Event(number, at_s, change)


def _found(rng: np.random.Generator) -> tuple[Detection, ...]:
    return (Detection(LABEL, float(rng.beta(*_SCORES_BETA)), _BOX),)


class _Frames:
    """Steel of one look under a light that flickers: cuts from a sheet, each with other noise."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        side_px = _SIDE_PX + _SHEET_ROOM_PX
        self._sheet = generate_frame(rng, side_px, side_px, ()).grey.astype(np.float32)
        self._seen, self._seen_sigma_px = self._sheet, 0.0
        self._noise = [
            rng.normal(0.0, _NOISE_LEVELS, (_SIDE_PX, _SIDE_PX)).astype(np.float32)
            for _ in range(_NOISE_DRAWN)
        ]

    def next(self, gain: float, sigma_px: float) -> NDArray[np.uint8]:
        """The next frame under that share of the first light, blurred before the noise, uint8 [H, W]."""
        rng = self._rng
        if sigma_px - self._seen_sigma_px >= _BLUR_STEP_PX:
            self._seen, self._seen_sigma_px = _blurred(self._sheet, sigma_px), sigma_px
        x, y = rng.integers(_SHEET_ROOM_PX, size=2)
        steel = self._seen[y : y + _SIDE_PX, x : x + _SIDE_PX]
        noise = np.roll(self._noise[rng.integers(_NOISE_DRAWN)], rng.integers(_SIDE_PX))
        light = gain * rng.normal(1.0, _FLICKER)
        grey: NDArray[np.uint8] = np.clip(steel * light + noise, 0, 255).astype(np.uint8)
        return grey


def _blurred(sheet: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """By a Gaussian, in the frequency domain; its edges see the opposite ones."""
    down, across = (np.fft.fftfreq(side)[:, None] ** 2 for side in sheet.shape)
    passed = np.exp(
        -2.0 * (np.pi * sigma_px) ** 2 * (down + across.T[:, : sheet.shape[1] // 2 + 1])
    )
    blurred: NDArray[np.float64] = np.fft.irfft2(np.fft.rfft2(sheet) * passed, sheet.shape)
    return blurred.astype(np.float32)
