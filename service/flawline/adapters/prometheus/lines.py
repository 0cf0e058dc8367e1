"""How each declared line does: its camera, its defect rate, its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flawline.core.line_figures import Alarm, LineFigures, LineState, Tracked

_FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "flawline_line_silent_seconds": (
        "How long ago the line's last frame came; from the start on, before there was one.",
        ("line",),
    ),
    "flawline_line_frames_total": (
        "Frames that came as the line sends them, each time that they came: no backfill or reinspection.",
        ("line",),
    ),
    "flawline_line_learned_ratio": (
        "How much of the line's base line has been learned; 1: it is compared with it.",
        ("line",),
    ),
    "flawline_line_state": (
        "1 for the state that the line is in: learning its base line, steady, the camera changed, "
        "or the steel changed.",
        ("line", "state"),
    ),
    "flawline_line_alarm": (
        "1 while the alarm is raised: camera, defect_rate, score_drift.",
        ("line", "alarm"),
    ),
    "flawline_frame_quality_ratio": (
        "Brightness, contrast, sharpness or saturated share of the line's frames, smoothed, of full "
        "scale.",
        ("line", "measure"),
    ),
    "flawline_frame_quality_baseline_ratio": ("The same in the base line.", ("line", "measure")),
    "flawline_frame_quality_deviation_ratio": (
        "How far it is from the base line: 1 and -1 raise the camera alarm.",
        ("line", "measure"),
    ),
    "flawline_defect_rate_ratio": (
        "NotOK among the frames with a verdict OK or NotOK, in the last window of them.",
        ("line",),
    ),
    "flawline_defect_rate_baseline_ratio": ("The same in the base line.", ("line",)),
    "flawline_defect_rate_lower_limit_ratio": (
        "Lower control limit of the defect rate in one window.",
        ("line",),
    ),
    "flawline_defect_rate_upper_limit_ratio": (
        "Upper control limit of the defect rate in one window.",
        ("line",),
    ),
    "flawline_defect_rate_deviation_ratio": (
        "Evidence that the defect rate left its base line: 1 (a rise) and -1 (a fall) raise the "
        "alarm.",
        ("line",),
    ),
    "flawline_score_mean": ("Mean score of the class's defects, smoothed.", ("line", "class")),
    "flawline_score_baseline_mean": ("The same in the base line.", ("line", "class")),
    "flawline_score_deviation_ratio": (
        "How far it is from the base line: 1 and -1 raise the score drift alarm.",
        ("line", "class"),
    ),
}

Sample = tuple[str, tuple[str, ...], float | None]


class LineMetrics(Collector):
    """Made from `figures` whenever the metrics are read: an inspection pays nothing for it.

    What is not known yet has no series.
    """

    def __init__(
        self, registry: CollectorRegistry, figures: Callable[[], Iterable[LineFigures]]
    ) -> None:
        self._figures = figures
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The families, without asking anyone."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """The families as they stand."""
        families = _families()
        for figures in self._figures():
            for name, labels, value in _samples(figures):
                if value is not None:
                    families[name].add_metric((figures.line, *labels), value)
        return families.values()


def _families() -> dict[str, CounterMetricFamily | GaugeMetricFamily]:
    return {
        name: (CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily)(
            name, says, labels=labels
        )
        for name, (says, labels) in _FAMILIES.items()
    }


def _samples(figures: LineFigures) -> Iterator[Sample]:
    yield "flawline_line_silent_seconds", (), figures.silent_s
    yield "flawline_line_frames_total", (), figures.frames
    yield "flawline_line_learned_ratio", (), figures.learned
    for state in LineState:
        yield "flawline_line_state", (state.value,), float(state is figures.state)
    for alarm in Alarm:
        yield "flawline_line_alarm", (alarm.value,), float(alarm in figures.alarms)
    for measure, tracked in figures.quality.items():
        names = ("quality_ratio", "quality_baseline_ratio", "quality_deviation_ratio")
        yield from _tracked((f"flawline_frame_{name}" for name in names), measure, tracked)
    rate = figures.defect_rate
    yield "flawline_defect_rate_ratio", (), rate.rate
    yield "flawline_defect_rate_baseline_ratio", (), rate.baseline
    yield "flawline_defect_rate_lower_limit_ratio", (), rate.lower_limit
    yield "flawline_defect_rate_upper_limit_ratio", (), rate.upper_limit
    yield "flawline_defect_rate_deviation_ratio", (), rate.deviation
    for label, tracked in figures.scores.items():
        names = ("score_mean", "score_baseline_mean", "score_deviation_ratio")
        yield from _tracked((f"flawline_{name}" for name in names), label, tracked)


def _tracked(names: Iterable[str], label: str, tracked: Tracked) -> Iterator[Sample]:
    values = (tracked.value, tracked.baseline, tracked.deviation)
    for name, value in zip(names, values, strict=True):
        yield name, (label,), value
