"""Metrics for Prometheus, on a registry that is handed in; each process shows its own.

An api has `InspectionMetrics` and `LineMetrics`, whatever runs an engine has `EngineMetrics`, both
have `QueueMetrics`; an embedded process has all of them. Durations are seconds, shares and rates
are ratios from 0 to 1, and every label has a bounded set of values.
"""

from flawline.adapters.prometheus.about import (
    show_build,
    show_certificate,
    show_engine,
    show_model,
)
from flawline.adapters.prometheus.engine import EngineMetrics
from flawline.adapters.prometheus.inspections import InspectionMetrics
from flawline.adapters.prometheus.labels import OTHER, Known
from flawline.adapters.prometheus.lines import LineMetrics
from flawline.adapters.prometheus.models import ModelMetrics
from flawline.adapters.prometheus.queue import QueueMetrics

__all__ = [
    "OTHER",
    "EngineMetrics",
    "InspectionMetrics",
    "Known",
    "LineMetrics",
    "ModelMetrics",
    "QueueMetrics",
    "show_build",
    "show_certificate",
    "show_engine",
    "show_model",
]
