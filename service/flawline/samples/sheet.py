"""A sheet on which flaws are placed side by side, and measured once they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flawline.samples.families.stamp import FlawFamily, Ground, Stamp
from flawline.samples.fields import Field
from flawline.samples.steel import SteelLook, draw_steel

# A pixel belongs to a flaw when the flaw changed it by at least so many grey levels.
VISIBLE_LEVELS = 6

_USUAL_SIDE_PX = 200
_MIN_FLAW_PX = 4
# Fewer visible pixels in a box than this share are specks, not a flaw with an extent.
_MIN_FILLED_SHARE = 0.04
_GAP_PX = 3
_PLACING_TRIES = 24


@dataclass(frozen=True)
class _Window:
    """Where a flaw is drawn, in px; may reach over the edges of the frame."""

    top: int
    left: int
    height: int
    width: int

    def inside(self, frame_height: int, frame_width: int) -> tuple[slice, slice]:
        """The rows and columns of the frame that the window covers."""
        rows = slice(max(0, self.top), min(frame_height, self.top + self.height))
        columns = slice(max(0, self.left), min(frame_width, self.left + self.width))
        return rows, columns

    def clear_of(self, other: _Window) -> bool:
        """Whether a gap lies between the two windows."""
        return (
            self.left >= other.left + other.width + _GAP_PX
            or other.left >= self.left + self.width + _GAP_PX
            or self.top >= other.top + other.height + _GAP_PX
            or other.top >= self.top + self.height + _GAP_PX
        )


class Sheet:
    """One sheet of steel while flaws are pressed into it."""

    def __init__(
        self, rng: np.random.Generator, look: SteelLook, height_px: int, width_px: int
    ) -> None:
        self._rng = rng
        self._look = look
        self._surface = draw_steel(rng, look, height_px, width_px)
        self._taken: list[_Window] = []

    def picture(self) -> npt.NDArray[np.uint8]:
        """The sheet as the camera sees it now, uint8 [H, W]."""
        return _quantise(self._surface)

    def press(self, family: FlawFamily) -> tuple[int, int, int, int] | None:
        """Draw a flaw where there is room, smaller if there is little.

        Returns its box x, y, width, height in px, or None when nothing fits.
        """
        for attempt in range(_PLACING_TRIES):
            window = self._place(family, shrink=0.88 ** (attempt // 4))
            if not all(window.clear_of(other) for other in self._taken):
                continue
            box = self._press_into(window, family)
            if box is not None:
                self._taken.append(window)
                return box
        return None

    def _place(self, family: FlawFamily, shrink: float) -> _Window:
        """A window of the family's usual size somewhere on the sheet.

        Flaws grow with the root of the frame's short side: larger frames see a larger piece of
        steel, and see it finer.
        """
        frame_height, frame_width = self._surface.shape
        scale = math.sqrt(min(frame_height, frame_width) / _USUAL_SIDE_PX) * shrink
        height, width = family.size(self._rng)
        if family.follows_strip and not self._look.vertical:
            height, width = width, height
        height = max(8, min(round(height * scale), round(1.2 * frame_height)))
        width = max(8, min(round(width * scale), round(1.2 * frame_width)))
        top = _start(self._rng, height, frame_height)
        left = _start(self._rng, width, frame_width)
        return _Window(top, left, height, width)

    def _press_into(self, window: _Window, family: FlawFamily) -> tuple[int, int, int, int] | None:
        """Draw into the window; the box of what changed visibly, or None and nothing drawn."""
        rows, columns = window.inside(*self._surface.shape)
        before = self._surface[rows, columns]
        ground = Ground(float(before.mean()), self._look.texture)
        if family.follows_strip and not self._look.vertical:
            stamp = family.draw(self._rng, window.width, window.height, ground).turned()
        else:
            stamp = family.draw(self._rng, window.height, window.width, ground)
        after = _pressed(before, stamp, window)
        box = _changed_box(_quantise(before), _quantise(after))
        if box is None:
            return None
        self._surface[rows, columns] = after
        x, y, width, height = box
        return x + columns.start, y + rows.start, width, height


def _start(rng: np.random.Generator, length: int, frame_length: int) -> int:
    """Where an extent begins so that most of it, or else the whole frame, is covered."""
    overhang = 0.15 * length
    ends = (-overhang, frame_length - length + overhang)
    return round(rng.uniform(min(ends), max(ends)))


def _pressed(before: Field, stamp: Stamp, window: _Window) -> Field:
    """The surface under the stamp after it was applied; parts outside the frame are cut off."""
    top, left = max(0, -window.top), max(0, -window.left)
    rows, columns = slice(top, top + before.shape[0]), slice(left, left + before.shape[1])
    after: Field = before * stamp.gain[rows, columns] + stamp.offset[rows, columns]
    return after


def _quantise(surface: Field) -> npt.NDArray[np.uint8]:
    """Grey levels rounded to 8 bit; darker and brighter ones are clipped as a camera does."""
    return np.clip(np.rint(surface), 0, 255).astype(np.uint8)


def _changed_box(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]
) -> tuple[int, int, int, int] | None:
    """Bounding box x, y, w, h of visibly changed pixels, None if they make no usable box."""
    changed = np.abs(after.astype(np.int16) - before.astype(np.int16)) >= VISIBLE_LEVELS
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return None
    x, y = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
    filled = int(changed.sum()) >= _MIN_FILLED_SHARE * width * height
    return (x, y, width, height) if filled and min(width, height) >= _MIN_FLAW_PX else None
