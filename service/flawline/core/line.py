"""One declared line over time: its camera, its defect rate, its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flawline.core.camera import Camera
from flawline.core.defect_rate import DefectRate
from flawline.core.drift import Drift, DriftOptions
from flawline.core.line_figures import Alarm, LineFigures, LineState
from flawline.core.line_options import LineOptions
from flawline.core.quality import FrameQuality
from flawline.core.values import Detection, Reason

_MIN_SCORE_CHANGE = 0.05
# A class is found on some of the frames only; waiting for as many as frames would take for ever.
_SCORES_SHARE = 5


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm that was raised, or is over; `because` is a sentence, empty when it is over."""

    alarm: Alarm
    raised: bool
    because: str = ""


class Line:
    """Base lines are learned from the first frames, and forgotten when the process ends.

    classes_of: those that the model of a hash may find, whose scores are followed; others are left
    out, so that memory is bounded.
    """

    def __init__(self, options: LineOptions, classes_of: Callable[[str], Iterable[str]]) -> None:
        self._options = options
        self._classes_of = classes_of
        self._camera = Camera(options.camera)
        self._raised: dict[Alarm, str] = {}
        self._model = ""
        self._begin_process()

    def repeated(self, sha256: str, part_id: str | None) -> Reason | None:
        """Whether the camera sends the same frame again, for another part."""
        return self._camera.repeated(sha256, part_id)

    def not_judged(self, sha256: str, part_id: str | None) -> None:
        """That frame got no verdict: it may come again."""
        self._camera.not_judged(sha256, part_id)

    def look(
        self, quality: FrameQuality, size_px: tuple[int, int], *, trusted: bool
    ) -> Reason | None:
        """Note a frame, and whether it is trusted until now; why it is not to be, or None."""
        return self._camera.look(quality, size_px, trusted=trusted)

    def decided(self, model: str, not_ok: bool, detections: Sequence[Detection]) -> None:
        """Note a verdict OK or NotOK, with what was found and the hash of the model that did.

        Another model has another defect rate, other scores and perhaps other classes: their base
        lines are learned anew.
        """
        if model != self._model:
            self._model = model
            self._begin_process()
        self._defect_rate.add(not_ok)
        highest: dict[str, float] = {}
        for found in detections:
            highest[found.label] = max(found.score, highest.get(found.label, 0.0))
        for label, score in highest.items():
            if label in self._scores and self._scores[label].add(score):
                self._drifted[label] = None
            else:
                self._drifted.pop(label, None)

    def changes(self) -> list[AlarmChange]:
        """The alarms that began or ended since this was last asked."""
        now = self._alarms()
        begun = [AlarmChange(a, True, why) for a, why in now.items() if a not in self._raised]
        over = [AlarmChange(a, False) for a in self._raised if a not in now]
        self._raised = now
        return begun + over

    @property
    def state(self) -> LineState:
        """What the alarms together say."""
        if Alarm.CAMERA in self._raised:
            return LineState.CAMERA_CHANGED
        if self._raised:
            return LineState.STEEL_CHANGED
        return LineState.STEADY if self._learned >= 1 else LineState.LEARNING

    def figures(self, name: str, silent_s: float, frames: int = 0) -> LineFigures:
        """As it stands; a class shows once it was found."""
        return LineFigures(
            line=name,
            silent_s=silent_s,
            frames=frames,
            learned=self._learned,
            state=self.state,
            alarms=frozenset(self._raised),
            quality=self._camera.figures,
            defect_rate=self._defect_rate.figures,
            scores={label: drift.figures for label, drift in self._scores.items()},
        )

    def _begin_process(self) -> None:
        learn = max(1, self._options.camera.learn // _SCORES_SHARE)
        self._defect_rate = DefectRate(self._options.defect_rate)
        self._scores = {
            label: Drift(DriftOptions(learn, _MIN_SCORE_CHANGE))
            for label in self._classes_of(self._model)
        }
        self._drifted: dict[str, None] = {}  # of the scores, in the order in which they did

    @property
    def _learned(self) -> float:
        return self._defect_rate.learned

    def _alarms(self) -> dict[Alarm, str]:
        found = {
            Alarm.CAMERA: self._camera.changed,
            Alarm.DEFECT_RATE: _of_rate(self._defect_rate),
            Alarm.SCORE_DRIFT: _of_scores(self._scores, self._drifted),
        }
        return {alarm: because for alarm, because in found.items() if because is not None}


def _of_rate(rate: DefectRate) -> str | None:
    if not rate.raised:
        return None
    figures = rate.figures
    word = "rose" if (figures.deviation or 0.0) > 0 else "fell"
    last = "unknown" if figures.rate is None else f"{figures.rate:.4f}"
    return f"the defect rate {word}: in the last window {last}, base line {figures.baseline:.4f}"


def _of_scores(scores: Mapping[str, Drift], drifted: Iterable[str]) -> str | None:
    label = next(iter(drifted), None)
    if label is None:
        return None
    figures = scores[label].figures
    return f"scores of {label} are {figures.value:.3f}, base line {figures.baseline:.3f}"
