"""Watches each declared line over time, and says when a person should look at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from flawline.application.job import Judged
from flawline.application.order import Order
from flawline.application.ports import Clock, Telemetry
from flawline.core.line import AlarmChange, Line
from flawline.core.line_figures import LineFigures
from flawline.core.line_options import LineOptions
from flawline.core.priority import Priority
from flawline.core.values import Reason, StageTimes, Verdict

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watched:
    line: Line
    seen_s: float
    frames: int = 0


class LineWatch:
    """What is known of the declared lines; others are not watched, so that memory is bounded.

    Only frames as they come from the line count: not reinspections and backfill, which are old, and
    not what is asked of one certain model (a version of it, or another than the stable one), which
    others were asked too. An api that shares its lines with others sees its own share of their
    frames, and learns from that. classes_of: what the model of a hash may find; it may be loaded
    long after the start.
    """

    def __init__(
        self,
        lines: Iterable[str],
        classes_of: Callable[[str], Iterable[str]],
        options: LineOptions,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        now_s = clock.monotonic_s()
        self._lines = {name: _Watched(Line(options, classes_of), now_s) for name in lines}

    def intake(self, order: Order) -> Judged | None:
        """Note a frame that came in; its outcome when the camera hangs, else None."""
        watched = self._watched(order)
        if watched is None:
            return None
        watched.seen_s = self._clock.monotonic_s()
        watched.frames += 1
        frozen = watched.line.repeated(order.frame.sha256, order.part_id)
        if frozen is None:
            return None
        self._tell(order.line, watched.line)
        recipe = order.recipe.with_min_score(order.min_score)
        return Judged(Verdict.NOT_DECIDABLE, (frozen,), (), recipe.ref, order.model, StageTimes())

    def not_judged(self, order: Order) -> None:
        """It was refused, or ended without a verdict: who sends the frame again has no camera that hangs."""
        watched = self._watched(order)
        if watched is not None:
            watched.line.not_judged(order.frame.sha256, order.part_id)

    def judged(self, order: Order, judged: Judged) -> Judged:
        """Note what was judged; NotDecidable if its frame is not to be trusted beside its line's.

        So is a NotOK: what was found on such a frame may be the fault of the camera, and a person
        looks either way. The detections stay, for that person.
        """
        watched = self._watched(order)
        if watched is None:
            return judged
        line, size_px = watched.line, (order.frame.width_px, order.frame.height_px)
        trusted, fault = judged.verdict is not Verdict.NOT_DECIDABLE, None
        if judged.quality is not None:
            fault = line.look(judged.quality, size_px, trusted=trusted)
        if trusted and fault is not None:
            judged = _undecidable(judged, fault)
        elif trusted and order.min_score is None:  # other thresholds make another rate
            not_ok = judged.verdict is Verdict.NOT_OK
            line.decided(judged.model.sha256, not_ok, judged.detections)
        self._tell(order.line, line)
        return judged

    def figures(self) -> tuple[LineFigures, ...]:
        """How each line does now."""
        now_s = self._clock.monotonic_s()
        return tuple(
            watched.line.figures(name, now_s - watched.seen_s, watched.frames)
            for name, watched in self._lines.items()
        )

    def _watched(self, order: Order) -> _Watched | None:
        usual = order.priority is Priority.INLINE and order.asks_for_stable
        return self._lines.get(order.line) if usual else None

    def _tell(self, name: str, line: Line) -> None:
        for change in line.changes():
            _log(name, line, change)
            if change.raised:
                self._telemetry.alarm_raised(name, change.alarm)


def _undecidable(judged: Judged, fault: Reason) -> Judged:
    return replace(judged, verdict=Verdict.NOT_DECIDABLE, reasons=(fault, *judged.reasons))


def _log(name: str, line: Line, change: AlarmChange) -> None:
    alarm, state = change.alarm.value, line.state.value
    if change.raised:
        logger.warning(
            "alarm_raised line=%s alarm=%s state=%s: %s", name, alarm, state, change.because
        )
    else:
        logger.info("alarm_over line=%s alarm=%s state=%s", name, alarm, state)
