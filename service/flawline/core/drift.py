"""One quantity against its own base line: a robust chart of exponentially weighted means."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from flawline.core.line_figures import Tracked

# Makes the median absolute deviation an estimate of a normal distribution's standard deviation.
_MAD_TO_SIGMA = 1.4826
_CLEARED_AT = 0.5
# Of how far values count at most: what lasts must reach the limit.
_MOST_LIMIT = 0.8
_LOWEST = 0.01


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """What counts as a change.

    learn: how many values make the base line. min_change: smallest change of the mean that counts;
    `relative`: as a share of the base line. weight: of a new value in the mean, 0..1.
    limit_sigmas: how many standard deviations of the mean are allowed. A value that is further away
    than `clip_sigmas` of a single one counts as that far.
    """

    learn: int
    min_change: float
    relative: bool = False
    weight: float = 0.05
    limit_sigmas: float = 6.0
    clip_sigmas: float = 2.0


class Drift:
    """Learns a base line, then tells when the mean has left it.

    The chart is that of Roberts, "Control chart tests based on geometric moving averages"
    (Technometrics 1, 1959), of values clipped as Huber does ("Robust estimation of a location
    parameter", Ann. Math. Stat. 35, 1964): a few frames that look quite different, as flawed ones do,
    move neither base line nor mean. Base line and spread are those of the clipped values too, so
    that a skewed distribution raises nothing. The limit allows for a base line of so few values.
    """

    def __init__(self, options: DriftOptions) -> None:
        self._options = options
        self._learning = array("d")
        self._mean: float | None = None  # of the values as they are, to be looked at
        self._clipped_mean = 0.0  # of the clipped ones, to be judged
        self._center = self._limit = self._least = self._most = self._lowest = 0.0
        self._learned = False
        self._raised = False

    @property
    def learned(self) -> float:
        """How much of the base line is there, 0..1."""
        return 1.0 if self._learned else len(self._learning) / self._options.learn

    @property
    def raised(self) -> bool:
        """Whether the mean has left the base line, and not come back well within its limits."""
        return self._raised

    @property
    def baseline(self) -> float | None:
        """The mean of the values learned, less what was far off."""
        return self._center if self._learned else None

    @property
    def lowest(self) -> float | None:
        """What one in a hundred of the values learned was below."""
        return self._lowest if self._learned else None

    @property
    def deviation(self) -> float | None:
        """How far the mean is from the base line; 1 and -1 are the limits."""
        if not self._learned:
            return None
        return (self._clipped_mean - self._center) / self._limit

    @property
    def figures(self) -> Tracked:
        """As it stands."""
        return Tracked(self._mean, self.baseline, self.deviation)

    def add(self, value: float) -> bool:
        """Note one more value; whether the mean has left the base line, as `raised`."""
        weight = self._options.weight
        self._mean = value if self._mean is None else self._mean + weight * (value - self._mean)
        if not self._learned:
            self._learning.append(value)
            if len(self._learning) >= self._options.learn:
                self._learn()
            return False
        clipped = min(max(value, self._least), self._most)
        self._clipped_mean += weight * (clipped - self._clipped_mean)
        deviation = (self._clipped_mean - self._center) / self._limit
        self._raised = abs(deviation) >= (_CLEARED_AT if self._raised else 1.0)
        return self._raised

    def _learn(self) -> None:
        options, values = self._options, np.array(self._learning)
        middle = float(np.median(values))
        spread = float(np.median(np.abs(values - middle))) * _MAD_TO_SIGMA
        min_change = options.min_change * (abs(middle) if options.relative else 1.0)
        reach = max(options.clip_sigmas * spread, 2 * min_change, 1e-9)
        self._least, self._most = middle - reach, middle + reach
        values = values.clip(self._least, self._most)
        self._center = self._clipped_mean = float(values.mean())
        of_the_mean = options.weight / (2 - options.weight) + 1 / options.learn
        allowed = options.limit_sigmas * float(values.std()) * of_the_mean**0.5
        self._limit = min(max(allowed, min_change, 1e-9), _MOST_LIMIT * reach)
        self._lowest = float(np.quantile(self._learning, _LOWEST))
        self._learned = True
        self._learning = array("d")
