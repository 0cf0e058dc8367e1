"""The share of NotOK parts of a line against its own base line."""

from __future__ import annotations

import math
from collections import deque

from flawline.core.line_figures import RateFigures
from flawline.core.line_options import DefectRateOptions

_CHART_SIGMAS = 3.0
_BASELINE_Z = 1.96
_ODDS_RATIO = 2.0
_CLEARED_AT = 0.5


class DefectRate:
    """A p-chart to look at, and two cumulative sums that raise the alarm.

    The chart (Montgomery, "Introduction to Statistical Quality Control", chapter 7) shows the rate
    of the last window with limits of three standard deviations; a point leaves those by chance every
    few hundred frames, so it raises nothing. The alarm is Page's sum for Bernoulli trials (Reynolds
    and Stoumbos, "A CUSUM chart for monitoring a proportion when inspecting continuously", J. Quality
    Technology 31, 1999): it adds, frame by frame, how much likelier the odds are doubled (or
    halved) than what they were. Its limit ln(n) keeps false alarms n frames apart or more (Lorden,
    "Procedures for reacting to a change in distribution", Ann. Math. Stat. 42, 1971). What they were
    is known from few frames, so the far end of their 95 % interval is taken for it. The base line
    does not move afterwards: it would follow a rate that rises slowly.
    """

    def __init__(self, options: DefectRateOptions) -> None:
        self._options = options
        self._last: deque[bool] = deque(maxlen=options.window)
        self._not_ok_in_last = 0
        self._frames = 0
        self._not_ok = 0
        self._limit = math.log(options.false_alarm_frames)
        self._rise = _Evidence()
        self._fall = _Evidence()
        self._raised = False

    @property
    def learned(self) -> float:
        """How much of the base line is there, 0..1."""
        return min(1.0, self._frames / self._options.learn)

    @property
    def raised(self) -> bool:
        """Whether the rate left its base line, and has not come back."""
        return self._raised

    @property
    def figures(self) -> RateFigures:
        """As it stands; the rate is there from the first whole window on."""
        window = self._options.window
        rate = self._not_ok_in_last / window if len(self._last) == window else None
        if self.learned < 1:
            return RateFigures(rate)
        baseline = self._not_ok / self._frames
        reach = _CHART_SIGMAS * math.sqrt(baseline * (1 - baseline) / window)
        return RateFigures(
            rate, baseline, max(0.0, baseline - reach), min(1.0, baseline + reach), self._deviation
        )

    def add(self, not_ok: bool) -> None:
        """Note one more frame with a verdict OK or NotOK."""
        if len(self._last) == self._options.window:
            self._not_ok_in_last -= self._last[0]
        self._last.append(not_ok)
        self._not_ok_in_last += not_ok
        if self.learned >= 1:
            self._compare(not_ok)
            return
        self._frames += 1
        self._not_ok += not_ok
        if self.learned >= 1:
            lowest, highest = wilson_interval(self._not_ok, self._frames)
            self._rise.aim(highest, _ODDS_RATIO)
            self._fall.aim(lowest, 1 / _ODDS_RATIO)

    @property
    def _deviation(self) -> float:
        rise, fall = self._rise.sum / self._limit, self._fall.sum / self._limit
        return rise if rise >= fall else -fall

    def _compare(self, not_ok: bool) -> None:
        # What is beyond the limit is of no use, and would take long to come back from.
        self._rise.add(not_ok, self._limit)
        self._fall.add(not_ok, self._limit)
        limit = _CLEARED_AT if self._raised else 1.0
        self._raised = abs(self._deviation) >= limit


class _Evidence:
    """One-sided cumulative sum of log likelihood ratios."""

    def __init__(self) -> None:
        self.sum = 0.0
        self._if_ok = self._if_not_ok = 0.0

    def aim(self, rate: float, odds_ratio: float) -> None:
        """Compare that rate with the one whose odds are so many times its own."""
        if not 0 < rate < 1:
            self._if_ok = self._if_not_ok = 0.0
            return
        odds = odds_ratio * rate / (1 - rate)
        other = odds / (1 + odds)
        self._if_not_ok = math.log(other / rate)
        self._if_ok = math.log((1 - other) / (1 - rate))

    def add(self, not_ok: bool, most: float) -> None:
        step = self._if_not_ok if not_ok else self._if_ok
        self.sum = min(max(0.0, self.sum + step), most)


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """In which the rate lies with 95 % confidence (Wilson, J. American Stat. Assoc. 22, 1927)."""
    z2 = _BASELINE_Z**2
    share = hits / trials
    middle = share + z2 / (2 * trials)
    reach = _BASELINE_Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)
