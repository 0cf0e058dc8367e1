from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from rig import MODEL

from flawline.adapters.prometheus import (
    EngineMetrics,
    InspectionMetrics,
    Known,
    LineMetrics,
    QueueMetrics,
    show_build,
    show_engine,
    show_model,
)
from flawline.application.job import Expired, Failed
from flawline.core.line_figures import Alarm, LineFigures, LineState, RateFigures, Tracked
from flawline.core.priority import Priority
from flawline.core.values import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    Reason,
    RecipeRef,
    Verdict,
)

INSPECTION = Inspection(
    inspection_id="1",
    verdict=Verdict.NOT_OK,
    reasons=(Reason("defect", "2 scratch"),),
    detections=(
        Detection("scratch", 0.9, Box(0, 0, 1, 1)),
        Detection("scratch", 0.8, Box(2, 2, 3, 3)),
        Detection("pit", 0.7, Box(4, 4, 5, 5)),
    ),
    frame=FrameInfo(64, 64, "ab"),
    line="press-1",
    part_id=None,
    recipe=RecipeRef("default", "1"),
    model=ModelRef("tiny", "1", "ab"),
    created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    processing_times=ProcessingTimes(1.0, 2.0, 3.0, 4.0, 5.0, total_ms=15.0),
)
UNDEFINED = replace(
    INSPECTION,
    verdict=Verdict.UNDEFINED,
    reasons=(Reason("deadline", "No verdict within 15 ms."),),
    detections=(),
)
BLACK = replace(
    INSPECTION,
    verdict=Verdict.NOT_DECIDABLE,
    reasons=(Reason("black", "It is dark."),),
    detections=(),
    processing_times=ProcessingTimes(1.0, 2.0, 0.0, 0.0, 0.0, total_ms=15.0),
)
COMMON = {"line": "press-1", "recipe": "default"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> InspectionMetrics:
    return InspectionMetrics(registry, Known(["press-1"], ["default"], ["scratch", "pit"]))


def series(registry: CollectorRegistry) -> int:
    return sum(len(family.samples) for family in registry.collect())


def test_verdicts_defects_and_scores_are_counted(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(INSPECTION)
    metrics.inspected(UNDEFINED)
    value = registry.get_sample_value
    assert value("flawline_inspections_total", COMMON | {"verdict": "NotOK"}) == 1
    assert value("flawline_inspections_total", COMMON | {"verdict": "Undefined"}) == 1
    assert value("flawline_defects_total", COMMON | {"class": "scratch"}) == 2
    assert value("flawline_defects_total", COMMON | {"class": "pit"}) == 1
    scratches = {"line": "press-1", "class": "scratch"}
    assert value("flawline_detection_score_bucket", scratches | {"le": "0.8"}) == 1
    assert value("flawline_detection_score_sum", scratches) == pytest.approx(1.7)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100])
def test_each_is_counted_once_whenever_the_metrics_are_read(
    registry: CollectorRegistry, metrics: InspectionMetrics, count: int
) -> None:
    labels = COMMON | {"verdict": "NotOK"}
    for _ in range(count):
        metrics.inspected(INSPECTION)
    assert registry.get_sample_value("flawline_inspections_total", labels) == count
    metrics.inspected(INSPECTION)
    page = generate_latest(registry).decode()
    (line,) = [
        line for line in page.splitlines() if line.endswith(f" {count + 1}.0") and "NotOK" in line
    ]
    assert line.startswith("flawline_inspections_total{")
    assert registry.get_sample_value("flawline_inspections_total", labels) == count + 1


def test_why_there_is_no_verdict_is_counted(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(UNDEFINED)
    metrics.inspected(BLACK)
    metrics.inspected(replace(BLACK, reasons=(Reason("of_a_newer_worker", "?"),)))
    value, line = registry.get_sample_value, {"line": "press-1"}
    assert value("flawline_undefined_total", line | {"reason": "deadline"}) == 1
    assert value("flawline_undefined_total", line | {"reason": "stopped"}) == 0
    assert value("flawline_undecidable_total", line | {"reason": "black"}) == 1
    assert value("flawline_undecidable_total", line | {"reason": "other"}) == 1
    metrics.inspected(replace(BLACK, reasons=(*BLACK.reasons, *INSPECTION.reasons)))
    assert value("flawline_undecidable_total", line | {"reason": "black"}) == 2
    assert value("flawline_undecidable_total", line | {"reason": "other"}) == 1  # it is one frame


def test_what_was_found_on_a_frame_not_to_be_trusted_is_no_defect(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(replace(BLACK, detections=INSPECTION.detections))
    assert registry.get_sample_value("flawline_defects_total", COMMON | {"class": "scratch"}) == 0


def test_names_that_nobody_declared_share_one_label(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    for number in range(10_000):
        metrics.inspected(
            replace(
                INSPECTION,
                line=f"made-up-{number}",
                recipe=RecipeRef(f"made-up-{number}", "1"),
                detections=(Detection(f"made-up-{number}", 0.5, Box(0, 0, 1, 1)),),
            )
        )
        if number == 0:
            after_the_first = series(registry)
    labels = {"line": "other", "recipe": "other"}
    value = registry.get_sample_value
    assert value("flawline_inspections_total", labels | {"verdict": "NotOK"}) == 10_000
    assert value("flawline_defects_total", labels | {"class": "other"}) == 10_000
    assert b"made-up" not in generate_latest(registry)
    assert series(registry) == after_the_first


def test_what_may_be_counted_begins_at_zero(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    value = registry.get_sample_value
    for line in ("press-1", "other"):
        common = {"line": line, "recipe": "default"}
        for verdict in ("OK", "NotOK", "NotDecidable", "Undefined"):
            assert value("flawline_inspections_total", common | {"verdict": verdict}) == 0
        for label in ("scratch", "pit"):
            assert value("flawline_defects_total", common | {"class": label}) == 0
        assert value("flawline_undefined_total", {"line": line, "reason": "deadline"}) == 0
        assert value("flawline_line_alarms_total", {"line": line, "alarm": "camera"}) == 0
    for reason in ("queue_full", "line_full", "backfill_full", "not_ready"):
        assert value("flawline_rejected_total", {"reason": reason}) == 0


def test_durations_are_seconds_and_reach_from_a_millisecond_to_five_seconds(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(INSPECTION)
    value = registry.get_sample_value
    total, line = "flawline_inspection_duration_seconds", {"line": "press-1"}
    assert value(f"{total}_sum", line) == pytest.approx(0.015)
    assert value(f"{total}_bucket", line | {"le": "0.001"}) == 0
    assert value(f"{total}_bucket", line | {"le": "5.0"}) == 1
    sums = {
        stage: value("flawline_stage_duration_seconds_sum", {"stage": stage})
        for stage in ("queue", "decode", "preprocess", "inference", "postprocess")
    }
    assert sums == pytest.approx(
        {
            "queue": 0.001,
            "decode": 0.002,
            "preprocess": 0.003,
            "inference": 0.004,
            "postprocess": 0.005,
        }
    )


def test_how_long_backfill_waits_burns_no_latency_budget(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(INSPECTION, waited_for=False)
    value = registry.get_sample_value
    for line in ("press-1", "other"):
        assert value("flawline_inspection_duration_seconds_count", {"line": line}) == 0
    assert value("flawline_stage_duration_seconds_count", {"stage": "queue"}) == 0
    assert value("flawline_stage_duration_seconds_count", {"stage": "inference"}) == 1


def test_old_pictures_say_nothing_of_how_their_line_does_now(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    for inspection in (INSPECTION, BLACK, UNDEFINED):
        metrics.inspected(inspection, waited_for=False)
    value = registry.get_sample_value
    for verdict in ("NotOK", "NotDecidable", "Undefined"):
        counted = COMMON | {"verdict": verdict}
        assert value("flawline_inspections_total", counted) == 0
        assert value("flawline_inspections_total", counted | {"line": "other"}) == 1
    assert value("flawline_defects_total", COMMON | {"class": "pit"}) == 0
    assert value("flawline_defects_total", COMMON | {"line": "other", "class": "pit"}) == 1
    for line in ("press-1", "other"):  # nor do the alerts that divide by durations
        assert value("flawline_undefined_total", {"line": line, "reason": "deadline"}) == 0
        assert value("flawline_undecidable_total", {"line": line, "reason": "black"}) == 0


@pytest.mark.parametrize(
    ("inspection", "reached"), [(UNDEFINED, set()), (BLACK, {"queue", "decode"})]
)
def test_a_stage_that_was_not_reached_is_not_flattered(
    registry: CollectorRegistry,
    metrics: InspectionMetrics,
    inspection: Inspection,
    reached: set[str],
) -> None:
    metrics.inspected(inspection)
    value = registry.get_sample_value
    assert value("flawline_inspection_duration_seconds_count", {"line": "press-1"}) == 1
    counted = {
        stage
        for stage in ("queue", "decode", "preprocess", "inference", "postprocess")
        if value("flawline_stage_duration_seconds_count", {"stage": stage})
    }
    assert counted == reached


def test_rejections_alarms_and_the_state_of_the_inspector(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    open_inspections = [3.0]
    metrics.watch(lambda: open_inspections[0], lambda: 1.0)
    metrics.rejected("queue_full")
    metrics.alarm_raised("press-1", Alarm.CAMERA)
    value = registry.get_sample_value
    assert value("flawline_rejected_total", {"reason": "queue_full"}) == 1
    assert value("flawline_line_alarms_total", {"line": "press-1", "alarm": "camera"}) == 1
    assert value("flawline_open_inspections") == 3
    open_inspections[0] = 4
    assert value("flawline_open_inspections") == 4
    assert value("flawline_ready") == 1


def test_batches_engine_and_jobs(registry: CollectorRegistry) -> None:
    metrics = EngineMetrics(registry)
    metrics.batch_ran(3, "idle")
    metrics.batch_ran(8, "full")
    metrics.engine_called(0.004, failed=False)
    metrics.engine_called(0.3, failed=True)
    metrics.job_taken(1)
    metrics.job_taken(4)
    metrics.job_resolved(Expired())
    metrics.job_resolved(Failed("1"))
    metrics.watch(lambda: 5.0, lambda: 0.25, lambda: 1.0)
    value = registry.get_sample_value
    assert value("flawline_batch_size_bucket", {"le": "4.0"}) == 1
    assert value("flawline_batch_size_sum") == 11
    assert value("flawline_batch_cuts_total", {"reason": "full"}) == 1
    assert value("flawline_engine_run_duration_seconds_bucket", {"le": "0.005"}) == 1
    assert value("flawline_engine_run_duration_seconds_count") == 2
    assert value("flawline_engine_failures_total") == 1
    assert value("flawline_job_deliveries_bucket", {"le": "1.0"}) == 1
    assert value("flawline_job_deliveries_sum") == 5
    assert value("flawline_jobs_total", {"outcome": "expired"}) == 1
    assert value("flawline_jobs_total", {"outcome": "judged"}) == 0
    assert value("flawline_jobs_in_hand") == 5
    assert value("flawline_engine_busy_seconds") == 0.25
    assert value("flawline_engine_failing") == 1


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_jobs_and_batches_are_counted_once_whenever_the_metrics_are_read(
    registry: CollectorRegistry, count: int
) -> None:
    metrics, value = EngineMetrics(registry), registry.get_sample_value
    for reads in (1, 2):
        for _ in range(count):
            metrics.job_taken(2)
            metrics.batch_ran(3, "idle")
        assert value("flawline_job_deliveries_sum") == 2 * count * reads
        assert value("flawline_batch_size_count") == count * reads
        assert value("flawline_batch_cuts_total", {"reason": "idle"}) == count * reads
    assert f"flawline_batch_size_sum {6.0 * count}" in generate_latest(registry).decode()


def test_what_is_added_while_others_read_is_counted_once(registry: CollectorRegistry) -> None:
    metrics, added = EngineMetrics(registry), 20_000
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            generate_latest(registry)

    reading = [threading.Thread(target=read) for _ in range(2)]
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in reading:
            thread.start()
        for _ in range(added):
            metrics.job_taken(1)
    finally:
        sys.setswitchinterval(usual_s)
        done.set()
        for thread in reading:
            thread.join()
    assert registry.get_sample_value("flawline_job_deliveries_count") == added


def test_queue(registry: CollectorRegistry) -> None:
    metrics, depth = QueueMetrics(registry), {of: 3.0 + of.urgency for of in Priority}
    metrics.watch(lambda of: depth[of], lambda of: 1.5 + of.urgency, 256)
    value = registry.get_sample_value
    depth[Priority.BACKFILL] = 40
    for priority, waiting, age_s in (("inline", 3, 1.5), ("backfill", 40, 3.5)):
        of = {"priority": priority}
        assert value("flawline_queue_depth", of) == waiting
        assert value("flawline_queue_oldest_age_seconds", of) == age_s
    assert value("flawline_queue_capacity") == 256


def test_the_shared_queue_shows_once_it_is_watched(registry: CollectorRegistry) -> None:
    metrics, value = QueueMetrics(registry), registry.get_sample_value
    metrics.event("leased", 2)
    assert value("flawline_queue_events_total", {"event": "leased"}) is None
    metrics.watch_shared(lambda: 3, lambda: 1, lambda: 0)
    metrics.watch_fallback(lambda: 1)
    metrics.event("leased", 2)
    assert value("flawline_queue_events_total", {"event": "leased"}) == 2
    assert value("flawline_queue_leased") == 3
    assert value("flawline_queue_dead_letters") == 1
    assert value("flawline_queue_reachable") == 0
    assert value("flawline_queue_fallback_active") == 1


def test_what_runs(registry: CollectorRegistry) -> None:
    show_build(registry, "0.1.0")
    show_model(registry, MODEL)
    show_engine(registry, "cuda", 0, lambda: True)
    value = registry.get_sample_value
    labels = {"name": "tiny", "version": "1.2.3", "sha256": MODEL.sha256}
    assert value("flawline_model_info", labels) == 1
    assert value("flawline_engine_info", {"device": "cuda", "threads": "0"}) == 1
    assert value("flawline_engine_fallback_active") == 1
    (build,) = (family for family in registry.collect() if family.name == "flawline_build_info")
    assert build.samples[0].labels["version"] == "0.1.0"


def test_a_line_that_learns_shows_no_base_line_yet(registry: CollectorRegistry) -> None:
    LineMetrics(registry, lambda: [LineFigures("press-1", silent_s=2.0, frames=3, learned=0.25)])
    value, line = registry.get_sample_value, {"line": "press-1"}
    assert value("flawline_line_silent_seconds", line) == 2
    assert value("flawline_line_frames_total", line) == 3
    assert value("flawline_line_learned_ratio", line) == 0.25
    assert value("flawline_line_state", line | {"state": "learning"}) == 1
    assert value("flawline_line_state", line | {"state": "steady"}) == 0
    assert value("flawline_line_alarm", line | {"alarm": "defect_rate"}) == 0
    assert value("flawline_defect_rate_ratio", line) is None
    assert value("flawline_defect_rate_upper_limit_ratio", line) is None


def test_a_line_that_is_known_shows_how_far_it_left_its_base_line(
    registry: CollectorRegistry,
) -> None:
    figures = LineFigures(
        "press-1",
        silent_s=0.5,
        learned=1.0,
        state=LineState.CAMERA_CHANGED,
        alarms=frozenset({Alarm.CAMERA}),
        quality={"brightness": Tracked(0.4, 0.5, -1.25)},
        defect_rate=RateFigures(0.03, 0.02, 0.0, 0.08, 0.1),
        scores={"scratch": Tracked(0.7, 0.75, -0.5)},
    )
    LineMetrics(registry, lambda: [figures])
    value, line = registry.get_sample_value, {"line": "press-1"}
    assert value("flawline_line_alarm", line | {"alarm": "camera"}) == 1
    assert value("flawline_line_state", line | {"state": "camera_changed"}) == 1
    brightness = line | {"measure": "brightness"}
    assert value("flawline_frame_quality_ratio", brightness) == 0.4
    assert value("flawline_frame_quality_baseline_ratio", brightness) == 0.5
    assert value("flawline_frame_quality_deviation_ratio", brightness) == -1.25
    assert value("flawline_defect_rate_ratio", line) == 0.03
    assert value("flawline_defect_rate_baseline_ratio", line) == 0.02
    assert value("flawline_defect_rate_lower_limit_ratio", line) == 0
    assert value("flawline_defect_rate_upper_limit_ratio", line) == 0.08
    assert value("flawline_defect_rate_deviation_ratio", line) == 0.1
    scratch = line | {"class": "scratch"}
    assert value("flawline_score_mean", scratch) == 0.7
    assert value("flawline_score_baseline_mean", scratch) == 0.75
    assert value("flawline_score_deviation_ratio", scratch) == -0.5


def test_the_text_is_well_formed_and_every_metric_is_explained(
    registry: CollectorRegistry, metrics: InspectionMetrics
) -> None:
    metrics.inspected(INSPECTION)
    EngineMetrics(registry)
    QueueMetrics(registry).watch(lambda _: 0.0, lambda _: 0.0, 1)
    LineMetrics(registry, lambda: [LineFigures("press-1", silent_s=0.0)])
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert len(families) > 20
    for family in families:
        assert family.name.startswith("flawline_")
        assert family.documentation.endswith((".", "one a core")), family.name


def test_two_services_in_one_process_do_not_meet() -> None:
    for _ in range(2):
        InspectionMetrics(CollectorRegistry(), Known([], [], []))
