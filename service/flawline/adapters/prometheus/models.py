"""Metrics of the models that an embedded process loads and switches."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from flawline.adapters.prometheus.about import model_gauge
from flawline.adapters.prometheus.inspections import InspectionMetrics
from flawline.core.values import ModelInfo

_CHANGES = ("load", "unload", "switch", "roll_back")
_OUTCOMES = ("done", "refused", "failed")


class ModelMetrics:
    """ModelTelemetry; `inspections` counts what the models find."""

    def __init__(self, registry: CollectorRegistry, inspections: InspectionMetrics) -> None:
        self._inspections = inspections
        self._stable = model_gauge(registry)
        self._changes = Counter(
            "flawline_model_changes",
            "Changes of models asked for, by outcome: done, refused (nothing was tried), failed.",
            ("change", "outcome"),
            registry=registry,
        )
        for change in _CHANGES:
            for outcome in _OUTCOMES:
                self._changes.labels(change, outcome)

    def expect(self, recipes: Iterable[str], labels: Iterable[str]) -> None:
        """Count what is judged by these recipes and found in these classes under their names."""
        self._inspections.expect(recipes, labels)

    def show_model(self, model: ModelInfo) -> None:
        """Show this one, and none beside it."""
        self._stable.clear()
        self._stable.labels(model.name, model.version, model.sha256).set(1)

    def model_changed(self, change: str, outcome: str) -> None:
        """Count a change that was asked for."""
        self._changes.labels(change, outcome).inc()
