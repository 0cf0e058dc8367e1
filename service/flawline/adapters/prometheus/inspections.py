"""Metrics of answers: what was decided, what was found, how long it took."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flawline.adapters.prometheus.backlog import Backlog
from flawline.adapters.prometheus.labels import OTHER, SECONDS, Known, Series
from flawline.core.line_figures import Alarm
from flawline.core.values import Inspection, Verdict

_AT_ONCE = 16
_SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_STAGES = ("queue", "decode", "preprocess", "inference", "postprocess")
# Why we turn requests away that are in order: alerts watch these.
_OUR_REASONS = ("queue_full", "line_full", "backfill_full", "not_ready")
_UNDEFINED_REASONS = ("deadline", "processing_failed", "stopped", OTHER)
_FOUND = "defect"
_UNDECIDABLE_REASONS = ("black", "over_exposed", "flat", "blurred", "frozen", "wrong_size", OTHER)


class InspectionMetrics:
    """Telemetry of an Inspector.

    Every series that may be counted begins at 0: a rate cannot see the first of one that appears.
    """

    def __init__(self, registry: CollectorRegistry, known: Known) -> None:
        self._registry = registry
        self._known = known
        self._backlog: Backlog[tuple[Inspection, bool]] = Backlog(
            registry, lambda happened: self._count(*happened), _AT_ONCE
        )

        def counter(name: str, says: str, *labels: str) -> Series[Counter]:
            return Series(Counter(name, says, labels, registry=registry))

        def histogram(
            name: str, says: str, *labels: str, buckets: tuple[float, ...]
        ) -> Series[Histogram]:
            return Series(Histogram(name, says, labels, buckets=buckets, registry=registry))

        self._inspections = counter(
            "flawline_inspections",
            "Inspections answered, with or without a verdict.",
            *("line", "recipe", "verdict"),
        )
        self._defects = counter(
            "flawline_defects", "Defects found on NotOK parts.", "line", "recipe", "class"
        )
        self._undefined = counter(
            "flawline_undefined",
            "Inspections that ended Undefined, by why; reason `deadline` counts deadline misses; without backfill.",
            *("line", "reason"),
        )
        self._undecidable = counter(
            "flawline_undecidable",
            "Frames not to be trusted, whose verdict therefore is NotDecidable, by why; without backfill.",
            *("line", "reason"),
        )
        self._alarms = counter(
            "flawline_line_alarms", "How often an alarm of a line was raised.", "line", "alarm"
        )
        self._rejected = counter("flawline_rejected", "Requests not accepted, by why.", "reason")
        self._scores = histogram(
            "flawline_detection_score",
            "Scores, 0 to 1, of the defects found on NotOK parts.",
            *("line", "class"),
            buckets=_SCORES,
        )
        self._duration = histogram(
            "flawline_inspection_duration_seconds",
            "From request to answer; without backfill.",
            "line",
            buckets=SECONDS,
        )
        stages = histogram(
            "flawline_stage_duration_seconds",
            "Time of one picture in one stage; those it did not reach are left out, and backfill in the queue.",
            "stage",
            buckets=SECONDS,
        )
        self._stages = {stage: stages.labels(stage) for stage in _STAGES}
        self._begin_at_zero()

    def inspected(self, inspection: Inspection, *, waited_for: bool = True) -> None:
        """Count the verdict and the defects, and note how long it took.

        Backfill, whose pictures are old, says nothing of how its line does now, and may take as long as it must.
        """
        self._backlog.add((inspection, waited_for))

    def _count(self, inspection: Inspection, waited_for: bool) -> None:
        known = self._known
        line = known.line(inspection.line) if waited_for else OTHER
        recipe = known.recipe(inspection.recipe.name)
        self._inspections.labels(line, recipe, inspection.verdict.value).inc()
        if waited_for:
            self._duration.labels(line).observe(inspection.processing_times.total_ms / 1000)
        if inspection.verdict is Verdict.UNDEFINED:
            if waited_for:
                self._count_reasons(self._undefined, _UNDEFINED_REASONS, line, inspection)
            return  # it did not pass the stages, and zeros would flatter them
        self._note_stages(inspection, waited_for)
        if inspection.verdict is Verdict.NOT_DECIDABLE:
            if waited_for:
                self._count_reasons(self._undecidable, _UNDECIDABLE_REASONS, line, inspection)
            return  # what was found on such a frame says nothing of the steel
        for detection in inspection.detections:
            label = known.label(detection.label)
            self._defects.labels(line, recipe, label).inc()
            self._scores.labels(line, label).observe(detection.score)

    def expect(self, recipes: Iterable[str], classes: Iterable[str]) -> None:
        """Another model was loaded: its recipes and classes count under their names from now on."""
        self._known.learn(recipes, classes)
        self._begin_at_zero()

    def rejected(self, reason: str) -> None:
        """Count a request that was not accepted."""
        self._rejected.labels(reason).inc()

    def alarm_raised(self, line: str, alarm: Alarm) -> None:
        """Count an alarm that was not there before."""
        self._alarms.labels(self._known.line(line), alarm.value).inc()

    def watch(self, open_inspections: Callable[[], float], ready: Callable[[], float]) -> None:
        """Ask the Inspector for its state whenever the metrics are read."""
        for name, says, read in (
            (
                "flawline_open_inspections",
                "Inspections accepted and not yet answered.",
                open_inspections,
            ),
            ("flawline_ready", "1 while new pictures are accepted.", ready),
        ):
            Gauge(name, says, registry=self._registry).set_function(read)

    def _note_stages(self, inspection: Inspection, waited_for: bool) -> None:
        times = inspection.processing_times
        for stage, duration_ms in zip(
            _STAGES,
            (
                times.queue_ms if waited_for else 0.0,
                times.decode_ms,
                times.preprocess_ms,
                times.inference_ms,
                times.postprocess_ms,
            ),
            strict=True,
        ):
            if duration_ms:
                self._stages[stage].observe(duration_ms / 1000)

    def _count_reasons(
        self, counter: Series[Counter], words: tuple[str, ...], line: str, inspection: Inspection
    ) -> None:
        for reason in inspection.reasons:
            if reason.code == _FOUND:  # beside why its frame is not to be trusted
                continue
            counter.labels(line, reason.code if reason.code in words else OTHER).inc()

    def _begin_at_zero(self) -> None:
        known = self._known
        for reason in _OUR_REASONS:
            self._rejected.labels(reason)
        for line in known.lines:
            self._duration.labels(line)
            for recipe, verdict in itertools.product(known.recipes, Verdict):
                self._inspections.labels(line, recipe, verdict.value)
            for recipe, label in itertools.product(known.recipes, known.classes):
                self._defects.labels(line, recipe, label)
            for reason in _UNDEFINED_REASONS:
                self._undefined.labels(line, reason)
            for reason in _UNDECIDABLE_REASONS:
                self._undecidable.labels(line, reason)
            for alarm in Alarm:
                self._alarms.labels(line, alarm.value)
