"""Whether a line's lens is out of focus: blur too mild to be told on one frame, told on some in a row."""

from __future__ import annotations

from flawline.core.values import Reason

# Of a new frame in the mean: a step to half of the sharpness is told after some 24 frames.
_WEIGHT = 0.05


class Focus:
    """The mean sharpness of the last frames beside that of the line's base line, with hysteresis.

    soft_below: share of the base line's sharpness below which frames are blurred, until the mean has
    come half of the way back to the base line; 0: not checked.

    Frames of one line differ in sharpness by their texture, so that one alone is called only when it
    lost most of it. A lens that is out of focus stays so: the mean of Roberts' chart (see Drift),
    which takes the same weight of each frame, has a sixth of their spread.
    """

    def __init__(self, soft_below: float) -> None:
        self._soft_below = soft_below
        self._share = 1.0
        self._lost = False

    def look(self, sharpness: float, usual: float) -> Reason | None:
        """Note a frame; why none is to be trusted now, or None. usual: of the base line, above 0."""
        self._share += _WEIGHT * (sharpness / usual - self._share)
        limit = (1.0 + self._soft_below) / 2 if self._lost else self._soft_below
        self._lost = self._share < limit and self._soft_below > 0
        return self.fault

    @property
    def fault(self) -> Reason | None:
        """As it stands."""
        if not self._lost:
            return None
        share = f"{self._share:.2f} of the base line's, must be {self._soft_below:g} or more"
        return Reason("blurred", f"Sharpness of the line's last frames is {share}.")
