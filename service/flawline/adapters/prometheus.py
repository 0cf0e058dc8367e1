"""Telemetry as Prometheus metrics, on a registry that is handed in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flawline.core.values import Inspection, ModelInfo, Verdict

OTHER_LINE = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class PrometheusTelemetry:
    """Keeps label sets bounded: the lines given become label values, all others are `other`."""

    def __init__(self, registry: CollectorRegistry, lines: Iterable[str]) -> None:
        self._lines = frozenset(lines)
        self._registry = registry
        self._inspections = Counter(
            "flawline_inspections",
            "Inspections answered.",
            ("line", "recipe", "verdict"),
            registry=registry,
        )
        self._defects = Counter(
            "flawline_defects",
            "Defects found.",
            ("line", "recipe", "class"),
            registry=registry,
        )
        self._rejected = Counter(
            "flawline_rejected", "Requests not accepted.", ("reason",), registry=registry
        )
        self._duration = Histogram(
            "flawline_inspection_duration_seconds",
            "From request to answer.",
            ("line",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "flawline_stage_duration_seconds",
            "Time of one picture in one stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_size = Histogram(
            "flawline_batch_size",
            "Pictures given to the engine at once.",
            buckets=_BATCH_SIZES,
            registry=registry,
        )

        self._batch_cuts = Counter(
            "flawline_batch_cuts",
            "Batches, by why they were no larger: full, or the engine was idle.",
            ("reason",),
            registry=registry,
        )
        self._queue_events: Counter | None = None

    def inspected(self, inspection: Inspection) -> None:
        """Count the verdict and the defects, and note how long it took."""
        line = inspection.line if inspection.line in self._lines else OTHER_LINE
        recipe = inspection.recipe.name
        self._inspections.labels(line, recipe, inspection.verdict.value).inc()
        for detection in inspection.detections:
            self._defects.labels(line, recipe, detection.label).inc()
        times = inspection.processing_times
        self._duration.labels(line).observe(times.total_ms / 1000)
        if inspection.verdict is Verdict.UNDEFINED:
            return  # it did not pass the stages, and zeros would flatter them
        for stage, duration_ms in (
            ("queue", times.queue_ms),
            ("decode", times.decode_ms),
            ("preprocess", times.preprocess_ms),
            ("inference", times.inference_ms),
            ("postprocess", times.postprocess_ms),
        ):
            self._stages.labels(stage).observe(duration_ms / 1000)

    def rejected(self, reason: str) -> None:
        """Count a request that was not accepted."""
        self._rejected.labels(reason).inc()

    def batch_ran(self, size: int, cut_because: str) -> None:
        """Note the size of a batch, and why it was no larger."""
        self._batch_size.observe(size)
        self._batch_cuts.labels(cut_because).inc()

    def expect(self, recipes: Iterable[str], labels: Iterable[str]) -> None:
        """Begin at 0 what may be counted: a rate cannot see the first of a series that appears."""
        classes = tuple(labels)
        for line, recipe in itertools.product((*self._lines, OTHER_LINE), recipes):
            for verdict in Verdict:
                self._inspections.labels(line, recipe, verdict.value)
            for label in classes:
                self._defects.labels(line, recipe, label)

    def show_model(self, model: ModelInfo) -> None:
        """Say which model inspects."""
        info = Gauge(
            "flawline_model_info",
            "The model that inspects; always 1.",
            ("name", "version", "sha256"),
            registry=self._registry,
        )
        info.labels(model.name, model.version, model.sha256).set(1)

    def watch_queue(self, depth: Callable[[], float], oldest_age_s: Callable[[], float]) -> None:
        """Ask the queue for its state whenever the metrics are read."""
        Gauge(
            "flawline_queue_depth", "Pictures waiting for a worker.", registry=self._registry
        ).set_function(depth)
        Gauge(
            "flawline_queue_oldest_age_seconds",
            "How long the oldest waiting picture has waited.",
            registry=self._registry,
        ).set_function(oldest_age_s)

    def queue_event(self, event: str, count: int) -> None:
        """Count what happened to jobs of the shared queue, once that is watched."""
        if self._queue_events is not None:
            self._queue_events.labels(event).inc(count)

    def watch_shared_queue(
        self,
        leased: Callable[[], float],
        dead_letters: Callable[[], float],
        reachable: Callable[[], float],
    ) -> None:
        """Ask the shared queue for its state whenever the metrics are read."""
        self._queue_events = Counter(
            "flawline_queue_events",
            "Jobs of the shared queue, by what happened to them.",
            ("event",),
            registry=self._registry,
        )
        for name, says, read in (
            ("flawline_queue_leased", "Pictures that workers hold.", leased),
            ("flawline_queue_dead_letters", "Jobs kept because they failed.", dead_letters),
            ("flawline_queue_reachable", "1 while the shared queue answers.", reachable),
        ):
            Gauge(name, says, registry=self._registry).set_function(read)

    def watch_fallback(self, active: Callable[[], float]) -> None:
        """1 while pictures are inspected here, because the shared queue is away."""
        Gauge(
            "flawline_queue_fallback_active",
            "1 while the api inspects by itself, because the shared queue is away.",
            registry=self._registry,
        ).set_function(active)
