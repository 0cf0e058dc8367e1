from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from rig import MODEL

from flawline.adapters.prometheus import PrometheusTelemetry
from flawline.core.values import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    RecipeRef,
    Verdict,
)

INSPECTION = Inspection(
    inspection_id="1",
    verdict=Verdict.NOT_OK,
    reasons=(),
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
UNDEFINED = replace(INSPECTION, verdict=Verdict.UNDEFINED, detections=())


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> PrometheusTelemetry:
    return PrometheusTelemetry(registry, ["press-1"])


def test_verdicts_and_defects_are_counted(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    telemetry.inspected(INSPECTION)
    telemetry.inspected(UNDEFINED)
    value = registry.get_sample_value
    common = {"line": "press-1", "recipe": "default"}
    assert value("flawline_inspections_total", common | {"verdict": "NotOK"}) == 1
    assert value("flawline_inspections_total", common | {"verdict": "Undefined"}) == 1
    assert value("flawline_defects_total", common | {"class": "scratch"}) == 2
    assert value("flawline_defects_total", common | {"class": "pit"}) == 1


def test_undeclared_lines_share_one_label(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    for number in range(1000):
        telemetry.inspected(replace(INSPECTION, line=f"made-up-{number}"))
    labels = {"line": "other", "recipe": "default", "verdict": "NotOK"}
    assert registry.get_sample_value("flawline_inspections_total", labels) == 1000
    assert b"made-up" not in generate_latest(registry)


def test_what_may_be_counted_begins_at_zero(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    telemetry.expect(["default"], ["scratch", "pit"])
    value = registry.get_sample_value
    for line in ("press-1", "other"):
        common = {"line": line, "recipe": "default"}
        for verdict in ("OK", "NotOK", "NotDecidable", "Undefined"):
            assert value("flawline_inspections_total", common | {"verdict": verdict}) == 0
        for label in ("scratch", "pit"):
            assert value("flawline_defects_total", common | {"class": label}) == 0


def test_durations_are_seconds_and_reach_from_a_millisecond_to_five_seconds(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    telemetry.inspected(INSPECTION)
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


def test_an_inspection_without_a_verdict_does_not_flatter_the_stages(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    telemetry.inspected(UNDEFINED)
    total = registry.get_sample_value(
        "flawline_inspection_duration_seconds_count", {"line": "press-1"}
    )
    assert total == 1
    assert b"flawline_stage_duration_seconds_bucket" not in generate_latest(registry)


def test_rejections_batches_queue_and_model(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    depth = [3.0]
    telemetry.rejected("queue_full")
    telemetry.batch_ran(3, "idle")
    telemetry.batch_ran(8, "full")
    telemetry.show_model(MODEL)
    telemetry.watch_queue(lambda: depth[0], lambda: 1.5)
    value = registry.get_sample_value
    assert value("flawline_rejected_total", {"reason": "queue_full"}) == 1
    assert value("flawline_batch_size_bucket", {"le": "4.0"}) == 1
    assert value("flawline_batch_size_sum") == 11
    assert value("flawline_batch_cuts_total", {"reason": "full"}) == 1
    assert value("flawline_queue_depth") == 3
    depth[0] = 4
    assert value("flawline_queue_depth") == 4
    assert value("flawline_queue_oldest_age_seconds") == 1.5
    labels = {"name": "tiny", "version": "1.2.3", "sha256": MODEL.sha256}
    assert value("flawline_model_info", labels) == 1


def test_the_text_is_well_formed_and_every_metric_is_explained(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    telemetry.inspected(INSPECTION)
    telemetry.rejected("queue_full")
    telemetry.batch_ran(1, "idle")
    text = generate_latest(registry).decode()
    families = list(text_string_to_metric_families(text))
    assert {family.name for family in families} == {
        "flawline_inspections",
        "flawline_defects",
        "flawline_rejected",
        "flawline_inspection_duration_seconds",
        "flawline_stage_duration_seconds",
        "flawline_batch_size",
        "flawline_batch_cuts",
    }
    assert all(family.documentation for family in families)


def test_the_shared_queue_shows_once_it_is_watched(
    registry: CollectorRegistry, telemetry: PrometheusTelemetry
) -> None:
    value = registry.get_sample_value
    telemetry.queue_event("leased", 2)
    assert value("flawline_queue_events_total", {"event": "leased"}) is None
    telemetry.watch_shared_queue(lambda: 3, lambda: 1, lambda: 0)
    telemetry.watch_fallback(lambda: 1)
    telemetry.queue_event("leased", 2)
    assert value("flawline_queue_events_total", {"event": "leased"}) == 2
    assert value("flawline_queue_leased") == 3
    assert value("flawline_queue_dead_letters") == 1
    assert value("flawline_queue_reachable") == 0
    assert value("flawline_queue_fallback_active") == 1


def test_two_services_in_one_process_do_not_meet() -> None:
    PrometheusTelemetry(CollectorRegistry(), [])
    PrometheusTelemetry(CollectorRegistry(), [])
