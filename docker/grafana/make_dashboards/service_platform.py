"""For whoever runs the machines: processes, the shared queue, resources, versions."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from panels import NONE_OR_CHECK, big, curves, dashboard, facts, now, query, words

_YES_NO = words({0: ("NO", "red"), 1: ("YES", "green")})


def made() -> build.Dashboard:
    """What is wrong now, then each process, the queue, and what runs."""
    page = dashboard(
        "flawline-platform",
        "Flawline: platform",
        "Do all processes run, is Redis there, who uses how much, and which versions run?",
        time_from="now-1h",
    )
    _wrong(page)
    _processes(page)
    _queue(page)
    _versions(page)
    return page


def _wrong(page: build.Dashboard) -> None:
    page.with_row(build.Row("Now"))
    for title, description, expression, mappings in (
        ("Apis ready", "NO: at least one takes no pictures.", "min(flawline_ready)", _YES_NO),
        (
            "Processes down",
            "Known to Prometheus, and not answering.",
            'count(up{job=~"flawline-.*"} == 0) or vector(0)',
            NONE_OR_CHECK,
        ),
        (
            "Queue reachable",
            "NO: at least one process does not reach Redis.",
            "min(flawline_queue_reachable)",
            _YES_NO,
        ),
        (
            "Dead letters",
            "Jobs that failed, kept for somebody to look at.",
            "max(flawline_queue_dead_letters)",
            NONE_OR_CHECK,
        ),
    ):
        page.with_panel(
            big(
                title,
                description,
                now(expression),
                width=6,
                height=5,
                mappings=mappings,
                no_value="no shared queue" if "queue" in expression else "no data",
            )
        )
    page.with_panel(
        facts(
            "Alerts",
            "Pending and firing; docs/runbook.md says what to do.",
            now('ALERTS{alertname=~"Flawline.*"}'),
            width=24,
        )
    )


def _processes(page: build.Dashboard) -> None:
    page.with_row(build.Row("Processes"))
    of_ours = '{job=~"flawline-.*"}'
    for title, description, expression, unit in (
        (
            "Processor",
            "Cores in use.",
            f"rate(process_cpu_seconds_total{of_ours}[$__rate_interval])",
            "short",
        ),
        ("Memory", "Held in RAM.", f"process_resident_memory_bytes{of_ours}", "bytes"),
        (
            "Age",
            "Since its start; a drop is a restart.",
            f"time() - process_start_time_seconds{of_ours}",
            "s",
        ),
        ("Open files", "Connections among them.", f"process_open_fds{of_ours}", "short"),
        ("Jobs in hand", "Taken by a worker and not yet ended.", "flawline_jobs_in_hand", "short"),
        (
            "Failures of the engine, a minute",
            "Calls that failed.",
            "60 * rate(flawline_engine_failures_total[$__rate_interval])",
            "short",
        ),
    ):
        page.with_panel(
            curves(
                title,
                description,
                query(expression, "{{job}} {{instance}}"),
                width=8,
                height=7,
                unit=unit,
            )
        )


def _queue(page: build.Dashboard) -> None:
    page.with_row(build.Row("Shared queue"))
    page.with_panel(
        curves(
            "Jobs",
            "Waiting, held by workers, and dead letters.",
            query("sum(max by (priority) (flawline_queue_depth))", "waiting"),
            query("max(flawline_queue_leased)", "held by workers", ref="B"),
            query("max(flawline_queue_dead_letters)", "dead letters", ref="C"),
            width=8,
        )
    )
    page.with_panel(
        curves(
            "What happened to jobs, a second",
            "`reclaimed` and `resolved_elsewhere`: a worker died or was too slow, or its engine began to fail.",
            query(
                "sum by (event) (rate(flawline_queue_events_total[$__rate_interval]))", "{{event}}"
            ),
            width=8,
        )
    )
    page.with_panel(
        curves(
            "What became of jobs, a second",
            "As workers ended them.",
            query("sum by (outcome) (rate(flawline_jobs_total[$__rate_interval]))", "{{outcome}}"),
            width=8,
            stacked=True,
        )
    )
    page.with_panel(
        curves(
            "Helping themselves",
            "1: an api inspects without Redis, or an engine computes without the device it was to use.",
            query("flawline_queue_fallback_active", "{{instance}} without Redis"),
            query("flawline_engine_fallback_active", "{{instance}} without its device", ref="B"),
            width=24,
            height=5,
        )
    )


def _versions(page: build.Dashboard) -> None:
    page.with_row(build.Row("What runs"))
    for title, metric in (
        ("Flawline", "flawline_build_info"),
        ("Model", "flawline_model_info"),
        ("Engine", "flawline_engine_info"),
    ):
        page.with_panel(
            facts(
                title, "Different rows of one kind: a rollout is under way.", now(metric), width=8
            )
        )
