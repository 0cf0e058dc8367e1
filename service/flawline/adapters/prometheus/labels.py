"""Which values labels may have: those declared, and `other` for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)

OTHER = "other"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds of histograms of durations: a stage's millisecond to five times the default deadline."""


class Known:
    """Lines, recipes and classes that become label values.

    Callers may name theirs what they like: what was not declared is `other`, so that the number of
    series depends on settings, and on the models that were loaded, alone.
    """

    def __init__(
        self, lines: Iterable[str], recipes: Iterable[str], classes: Iterable[str]
    ) -> None:
        self.lines = (*dict.fromkeys(lines), OTHER)
        self.recipes = (*dict.fromkeys(recipes), OTHER)
        self.classes = (*dict.fromkeys(classes), OTHER)

    def learn(self, recipes: Iterable[str], classes: Iterable[str]) -> None:
        """These become label values too: a model was loaded that knows them."""
        self.recipes = tuple(dict.fromkeys((*self.recipes, *recipes)))
        self.classes = tuple(dict.fromkeys((*self.classes, *classes)))

    def line(self, name: str) -> str:
        """The line's label value."""
        return name if name in self.lines else OTHER

    def recipe(self, name: str) -> str:
        """The recipe's label value."""
        return name if name in self.recipes else OTHER

    def label(self, name: str) -> str:
        """The class's label value."""
        return name if name in self.classes else OTHER


class Series(Generic[M]):
    """The series of one metric, remembered: what finds them anew costs as much as counting does.

    The labels asked for must be bounded.
    """

    def __init__(self, metric: M) -> None:
        self._metric = metric
        self._series: dict[tuple[str, ...], M] = {}

    def labels(self, *values: str) -> M:
        """The series with these label values, in the metric's order."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = self._metric.labels(*values)
        return series
