"""Writes docs/metrics.md from the metrics that processes show: ``python docs/make_metrics.py``.

A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric

from flawline.adapters.prometheus import show_certificate
from flawline.bootstrap import build_service
from flawline.bootstrap.parts import Base
from flawline.settings import load_settings

HEAD = """# Metrics

Every process shows its own at `/metrics`: an api on its HTTP port, a worker on port 9090. One process that does all
(`flawline serve` without a queue) shows what api and worker show. Durations are seconds, sizes are bytes, shares and
rates are ratios from 0 to 1. Label values are bounded: the declared lines, the recipes and the model's classes; the
rest counts as `other`, and so does what is sent as `backfill`, whatever its line: its pictures are old. Histograms of
durations reach from 1 ms to 5 s. What is not known yet has no series; what waits in a Redis that is away is `NaN`.

`docker/prometheus/rules` makes rates, quantiles and alerts of them ([runbook.md](runbook.md)), the dashboards in
`docker/grafana` show them. This page is made from the code by `python docs/make_metrics.py`.
"""

NOWHERE = "redis://127.0.0.1:1"  # nothing is connected to: the metrics are there before that

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "What was decided": {
        "flawline_inspections_total": "On which line were how many parts OK, NotOK, to be looked at, or not inspected?",
        "flawline_defects_total": "Which defects does which line make, and are they getting more?",
        "flawline_detection_score": "How sure is the model of what it finds? Do many scores lie near the threshold?",
        "flawline_undefined_total": "Why was there no verdict? How many deadlines were missed?",
        "flawline_undecidable_total": "Why must a person look: black, blurred, frozen pictures?",
        "flawline_rejected_total": "Were requests turned away for our reasons (`queue_full`, `not_ready`, ...)?",
    },
    "How long it took": {
        "flawline_inspection_duration_seconds": "How long does a caller wait for his answer?",
        "flawline_stage_duration_seconds": "In which stage is the time spent?",
        "flawline_open_inspections": "How many callers wait at this moment?",
    },
    "How a line does": {
        "flawline_line_silent_seconds": "Does the line still send pictures?",
        "flawline_line_frames_total": "Did it send any, on this shift say?",
        "flawline_line_state": "In one word: is it well, did its camera change, or its steel?",
        "flawline_line_alarm": "Which alarms stand?",
        "flawline_line_alarms_total": "How often was each alarm raised?",
        "flawline_line_learned_ratio": "Is there a base line yet to compare with?",
        "flawline_frame_quality_ratio": "How bright, rich in contrast, sharp and saturated are its pictures now?",
        "flawline_frame_quality_baseline_ratio": "How were they when all was well?",
        "flawline_frame_quality_deviation_ratio": "How far is the camera from an alarm?",
        "flawline_defect_rate_ratio": "Which share of the last parts was NotOK?",
        "flawline_defect_rate_baseline_ratio": "Which share is usual on this line?",
        "flawline_defect_rate_lower_limit_ratio": "How few would be more than chance?",
        "flawline_defect_rate_upper_limit_ratio": "How many would be more than chance?",
        "flawline_defect_rate_deviation_ratio": "How far is the defect rate from an alarm?",
        "flawline_score_mean": "How sure is the model of this class on this line now?",
        "flawline_score_baseline_mean": "How sure was it when all was well?",
        "flawline_score_deviation_ratio": "How far are the scores from an alarm?",
    },
    "The queue": {
        "flawline_queue_depth": "How many pictures wait? Do workers keep up with what is not backfill?",
        "flawline_queue_oldest_age_seconds": "How long has the one waited that waited longest?",
        "flawline_queue_capacity": "When will pictures be turned away?",
        "flawline_queue_leased": "How many pictures are being worked on?",
        "flawline_queue_events_total": "Do workers lose jobs to others, hand them back, or find them expired?",
        "flawline_queue_dead_letters": "Did pictures fail so badly that somebody must look at them?",
        "flawline_queue_reachable": "Does this process reach Redis?",
        "flawline_queue_fallback_active": "Does this api help itself, because Redis is away?",
    },
    "The engine": {
        "flawline_batch_size": "How many pictures run at once? Is there anything to gain from larger batches?",
        "flawline_batch_cuts_total": "Why was a batch no larger: was it full, or did nothing else wait?",
        "flawline_engine_run_duration_seconds": "How long does the network take, and how busy is the engine?",
        "flawline_engine_busy_seconds": "Does the engine hang?",
        "flawline_engine_failing": "Is the engine of use at all?",
        "flawline_engine_fallback_active": "Is the device that was asked for missing?",
        "flawline_engine_failures_total": "Does the engine fail?",
        "flawline_job_deliveries": "Do workers die over pictures, and how often before one is done?",
        "flawline_jobs_total": "What became of the pictures that this process worked on?",
        "flawline_jobs_in_hand": "How many pictures would this process have to finish or hand back if it stopped now?",
    },
    "What runs": {
        "flawline_ready": "Are pictures accepted?",
        "flawline_model_info": "Which model inspects, and is it the same everywhere?",
        "flawline_model_changes_total": "Was the model changed, and did a change fail?",
        "flawline_engine_info": "What does the engine compute with?",
        "flawline_build_info": "Which version runs where?",
        "flawline_certificate_expires_timestamp_seconds": "When will callers refuse to connect?",
    },
    "The process": {
        "process_cpu_seconds_total": "How many cores does it use?",
        "process_resident_memory_bytes": "How much memory does it hold, and does that grow?",
        "process_virtual_memory_bytes": "How much memory did it reserve?",
        "process_open_fds": "Are connections or files left open?",
        "process_max_fds": "How many may be open?",
        "process_start_time_seconds": "Since when does it run? Was it started anew?",
    },
}
"""By chapter and name, as Prometheus sees it, the question that somebody has when he looks at the metric."""


class Explained(NamedTuple):
    """One metric, under its name for Prometheus; shown_by: which processes show it."""

    type: str
    labels: tuple[str, ...]
    meaning: str
    shown_by: str


def metrics() -> dict[str, Explained]:
    """Every metric that a process can show, by its name for Prometheus."""
    api, worker = _registry_of_api("redis"), _registry_of_worker()
    falling_back = _registry_of_api("redis", queue_fallback="local")
    names = {id(registry): _names(registry) for registry in (api, worker)}
    alone = _registry_of_api("memory")
    embedded = _names(alone)
    found: dict[str, Explained] = {}
    for registry in (falling_back, worker, alone):
        for family in registry.collect():
            name = _name(family)
            if name in found:
                continue
            shown_by = [
                word for word, own in (("api", api), ("worker", worker)) if name in names[id(own)]
            ]
            by_itself = "without a queue" if registry is alone else "with `fallback = local`"
            where = ", ".join(shown_by) or f"api {by_itself}"
            if shown_by and name not in embedded:
                where += " on a shared queue"
            found[name] = Explained(
                family.type, _labels(registry, family), family.documentation, where
            )
    return found


def metrics_page() -> str:
    """The page as Markdown. Raises ValueError when a metric has no question, or a question no metric."""
    known = metrics()
    asked = [name for questions in QUESTIONS.values() for name in questions]
    if missing := sorted(set(known) ^ set(asked)):
        raise ValueError(
            f"give these a question in docs/make_metrics.py, or remove it: {', '.join(missing)}"
        )
    parts = [HEAD]
    for chapter, questions in QUESTIONS.items():
        parts.append(
            f"\n## {chapter}\n\n| metric | type, labels | shown by | meaning | question |\n"
        )
        parts.append("|---|---|---|---|---|\n")
        parts.extend(_row(name, known[name], question) for name, question in questions.items())
    return "".join(parts)


def _row(name: str, metric: Explained, question: str) -> str:
    labels = f" by {', '.join(f'`{label}`' for label in metric.labels)}" if metric.labels else ""
    return f"| `{name}` | {metric.type}{labels} | {metric.shown_by} | {metric.meaning} | {question} |\n"


def _registry_of_api(queue: str, **more: str) -> CollectorRegistry:
    url = {"redis": NOWHERE}.get(queue, queue)
    settings = load_settings(lines=("mill-1",), queue=url, **more)
    return _behind_tls(build_service(settings).telemetry_registry)


def _registry_of_worker() -> CollectorRegistry:
    base = Base.of(load_settings(queue=NOWHERE))
    base.workers(base.shared_queue(), [base.engine()])
    return _behind_tls(base.registry)


def _behind_tls(registry: CollectorRegistry) -> CollectorRegistry:
    show_certificate(registry, 0.0)
    return registry


def _names(registry: CollectorRegistry) -> set[str]:
    return {_name(family) for family in registry.collect()}


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labels(registry: CollectorRegistry, family: Metric) -> tuple[str, ...]:
    """What a family without samples does not tell, its maker does; prometheus_client has no public word for it."""
    if family.samples:
        return tuple(label for label in family.samples[0].labels if label != "le")
    maker = registry._names_to_collectors[family.name]  # noqa: SLF001
    return tuple(getattr(maker, "_labelnames", ())) or tuple(getattr(family, "_labelnames", ()))


if __name__ == "__main__":
    Path(__file__).with_name("metrics.md").write_text(metrics_page(), "utf-8")
