"""The camera of one line: whether its frames still look like those of its base line."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

from flawline.core.drift import Drift, DriftOptions
from flawline.core.focus import Focus
from flawline.core.line_figures import Tracked
from flawline.core.line_options import CameraOptions
from flawline.core.quality import MEASURES, FrameQuality
from flawline.core.values import Reason

# Change of the mean that counts; of the saturated share in the absolute, as it is 0 on most lines.
_MIN_CHANGES = {"brightness": 0.1, "contrast": 0.25, "sharpness": 0.25, "saturated": 0.05}
_ABSOLUTE = "saturated"
# What a frame that lost most of a measure is called.
_LOST = {"brightness": "black", "contrast": "flat", "sharpness": "blurred"}
# How far beneath the lowest hundredth of the base line's frames a lost one is. Frames of a
# kind that the base line hardly knows, as where the strip ends, need their room (benchmarks/blur.py).
_BENEATH = {"brightness": 0.35, "contrast": 0.6, "sharpness": 0.5}
_SAME_SIZE_SHARE = 0.95
_MOST_SIZES = 8
# Frames of one line that are under way at a time, and may all be refused.
_MOST_TAKEN_BACK = 64


class _Limit(NamedTuple):
    """A measure, that of the base line, and the least of a frame that did not lose it."""

    name: str
    usual: float
    least: float


class Camera:
    """Learns what its frames look like, then judges single frames and tells lasting changes."""

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._drifts = {
            name: Drift(DriftOptions(options.learn, _MIN_CHANGES[name], relative=name != _ABSOLUTE))
            for name in MEASURES
        }
        self._drifted: list[str] = []
        self._lost_below: list[_Limit] = []  # once the base line is there
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._repeats = _Repeats()
        self._focus = Focus(options.soft_below)
        self._fault: Reason | None = None

    @property
    def learned(self) -> float:
        """How much of the base line is there, 0..1."""
        return self._drifts["brightness"].learned

    @property
    def figures(self) -> dict[str, Tracked]:
        """By measure."""
        return {name: drift.figures for name, drift in self._drifts.items()}

    @property
    def changed(self) -> str | None:
        """What changed for good, as a sentence, or None; a camera that hangs is one too."""
        if self._fault is not None and self._fault.code in ("frozen", "wrong_size"):
            return self._fault.detail
        if self._focus.fault is not None:
            return self._focus.fault.detail
        if self._drifted:
            name = self._drifted[0]
            figures = self._drifts[name].figures
            return f"{name} is {figures.value:.3f}, base line {figures.baseline:.3f}"
        return None

    @property
    def soft(self) -> bool:
        """Whether the last frames together are blurred."""
        return self._focus.fault is not None

    def repeated(self, sha256: str, part_id: str | None) -> Reason | None:
        """Whether the camera hangs: the same frame again, for another part.

        A repeat for the same part is a caller who asks again, and says nothing of the camera.
        """
        times = self._repeats.count(sha256, part_id)
        limit = self._options.frozen_frames
        hangs = 0 < limit <= times
        if hangs:
            self._fault = Reason("frozen", f"The same frame came {times} times in a row.")
        elif self._fault is not None and self._fault.code == "frozen":
            self._fault = None
        return self._fault if hangs else None

    def not_judged(self, sha256: str, part_id: str | None) -> None:
        """The frame that was counted as this one got no verdict: it may come again, and is no repeat then."""
        self._repeats.take_back(sha256, part_id)

    def look(
        self, quality: FrameQuality, size_px: tuple[int, int], *, trusted: bool
    ) -> Reason | None:
        """Note a frame; why it is not to be trusted beside its base line, or None.

        size_px: width, height. trusted: whether it was until now; no base line is made of others.
        """
        if not trusted and self.learned < 1:
            return None
        self._fault = self._wrong_size(size_px) or self._lost(quality)
        if trusted and (self._fault is None or self._fault.code == "blurred"):
            self._fault = self._soft(quality) or self._fault
        learning = self.learned < 1
        if learning and len(self._sizes) < _MOST_SIZES:
            self._sizes[size_px] += 1
        self._drifted = [
            name for name, drift in self._drifts.items() if drift.add(getattr(quality, name))
        ]
        if learning and self.learned >= 1:
            self._lost_below = list(self._limits())
        return self._fault

    def _wrong_size(self, size_px: tuple[int, int]) -> Reason | None:
        if not self._options.same_size or self.learned < 1:
            return None
        (usual, frames), *_ = self._sizes.most_common(1)
        if size_px == usual or frames < _SAME_SIZE_SHARE * self._sizes.total():
            return None  # the line never had one size
        return Reason(
            "wrong_size",
            f"The frame has {size_px[0]}x{size_px[1]} px, those of its line {usual[0]}x{usual[1]}.",
        )

    def _lost(self, quality: FrameQuality) -> Reason | None:
        for name, usual, least in self._lost_below:
            value = getattr(quality, name)
            if value < least:
                return Reason(
                    _LOST[name],
                    f"{name.capitalize()} {value:.3f}, base line of its line {usual:.3f}.",
                )
        return None

    def _limits(self) -> Iterator[_Limit]:
        for name, share in _BENEATH.items():
            usual, lowest = self._drifts[name].baseline, self._drifts[name].lowest
            if usual is not None and lowest is not None:
                yield _Limit(name, usual, min(self._options.lost_below * usual, share * lowest))

    def _soft(self, quality: FrameQuality) -> Reason | None:
        usual = self._drifts["sharpness"].baseline
        return self._focus.look(quality.sharpness, usual) if usual else None


class _Repeat(NamedTuple):
    """A frame, and how often it came in a row."""

    sha256: str
    part_id: str | None
    times: int


class _Repeats:
    """How often the same frame came in a row."""

    def __init__(self) -> None:
        self._last = deque([_Repeat("", None, 0)], maxlen=_MOST_TAKEN_BACK + 1)

    def count(self, sha256: str, part_id: str | None) -> int:
        last, times = self._last[-1], 1
        if sha256 == last.sha256:
            times = last.times + (part_id is None or part_id != last.part_id)
        self._last.append(_Repeat(sha256, part_id, times))
        return times

    def take_back(self, sha256: str, part_id: str | None) -> None:
        """The last one did not count, if it was this."""
        if self._last[-1][:2] == (sha256, part_id) and len(self._last) > 1:
            self._last.pop()
