"""For whoever tunes the service: where time is spent, and how pictures are batched."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from panels import curves, dashboard, query, spread

_LINE = 'line=~"$line"'


def made() -> build.Dashboard:
    """What callers feel, what the objectives say, then queue, batches and engine."""
    page = dashboard(
        "flawline-latency",
        "Flawline: latency and batching",
        "How long do callers wait, where is the time spent, and would larger batches help?",
        lines_of="flawline_inspections_total",
        time_from="now-1h",
    )
    _callers(page)
    _budgets(page)
    _queue(page)
    _engine(page)
    return page


def _callers(page: build.Dashboard) -> None:
    page.with_row(build.Row("Callers"))
    quantiles = (("A", "p50"), ("B", "p90"), ("C", "p99"))
    page.with_panel(
        curves(
            "From request to answer",
            "Half, 90 % and 99 % of the answers came within this time.",
            *(
                query(
                    f"line:flawline_inspection_duration_seconds:{name}_rate5m{{{_LINE}}}",
                    f"{{{{line}}}} {name}",
                    ref=ref,
                )
                for ref, name in quantiles
            ),
            unit="s",
            dashed=".* p99",
        )
    )
    page.with_panel(
        spread(
            "Spread of answers",
            "How many answers took how long.",
            f"sum by (le) (increase(flawline_inspection_duration_seconds_bucket{{{_LINE}}}[$__rate_interval]))",
            unit="s",
        )
    )
    page.with_panel(
        curves(
            "Stages",
            "Half (dashed) and 99 % of the pictures passed the stage within this time.",
            query("stage:flawline_stage_duration_seconds:p99_rate5m", "{{stage}} p99"),
            query("stage:flawline_stage_duration_seconds:p50_rate5m", "{{stage}} p50", ref="B"),
            unit="s",
            dashed=".* p50",
        )
    )
    page.with_panel(
        curves(
            "Answered Undefined, a minute",
            "`deadline`: the deadline passed before there was a verdict. Without backfill.",
            query(
                f"60 * sum by (reason) (rate(flawline_undefined_total{{{_LINE}}}[$__rate_interval]))",
                "{{reason}}",
            ),
            stacked=True,
        )
    )


def _budgets(page: build.Dashboard) -> None:
    page.with_row(build.Row("Error budgets"))
    for title, objective, ratio, allowed in (
        (
            "Latency",
            "99 % within 250 ms",
            "service:flawline_slow_per_inspection:ratio_rate",
            "0.01",
        ),
        (
            "Verdicts",
            "99.9 % of pictures get a verdict",
            "service:flawline_without_verdict_per_request:ratio_rate",
            "0.001",
        ),
    ):
        windows = (("A", "5m"), ("B", "1h"), ("C", "6h"))
        page.with_panel(
            curves(
                f"{title}: how fast the budget is spent",
                f"{objective}. 1 spends a month's budget in a month; 14.4 over 5 minutes and an hour, or 6 over six "
                "hours, raises the alert.",
                *(
                    query(f"max({ratio}{window}) / {allowed}", window, ref=ref)
                    for ref, window in windows
                ),
                height=7,
            )
        )


def _queue(page: build.Dashboard) -> None:
    page.with_row(build.Row("Queue"))
    page.with_panel(
        curves(
            "Waiting pictures",
            "`backfill`: how many of them nobody waits for. Capacity (dashed): what comes beyond is "
            "turned away, backfill from half of it on.",
            query("sum(max by (priority) (service:flawline_queue_depth:max))", "waiting"),
            query(
                'max(service:flawline_queue_depth:max{priority="backfill"})', "backfill", ref="D"
            ),
            query("max(flawline_queue_capacity)", "capacity", ref="B"),
            query("sum(flawline_open_inspections)", "callers who wait", ref="C"),
            width=8,
            dashed="capacity",
        )
    )
    page.with_panel(
        curves(
            "Oldest waiting picture",
            "How long it has waited.",
            query(
                "max by (priority) (service:flawline_queue_oldest_age_seconds:max)", "{{priority}}"
            ),
            width=8,
            unit="s",
        )
    )
    page.with_panel(
        curves(
            "Turned away, a minute",
            "By reason; `queue_full`, `line_full`, `not_ready` and `backfill_full` (for which nobody waits) are ours, "
            "the rest is the callers'.",
            query(
                "60 * sum by (reason) (rate(flawline_rejected_total[$__rate_interval]))",
                "{{reason}}",
            ),
            width=8,
            stacked=True,
        )
    )


def _engine(page: build.Dashboard) -> None:
    page.with_row(build.Row("Batches and engine"))
    page.with_panel(
        curves(
            "Pictures in a batch",
            "On average, by process.",
            query(
                "sum by (instance) (rate(flawline_batch_size_sum[$__rate_interval]))"
                " / (sum by (instance) (rate(flawline_batch_size_count[$__rate_interval])) > 0)",
                "{{instance}}",
            ),
            width=8,
        )
    )
    page.with_panel(
        curves(
            "Why batches were no larger, a second",
            "Mostly `full`: a larger FLAWLINE_MAX_BATCH or more workers may help. Mostly `idle`: nothing else waited.",
            query(
                "sum by (reason) (rate(flawline_batch_cuts_total[$__rate_interval]))", "{{reason}}"
            ),
            width=8,
            stacked=True,
        )
    )
    page.with_panel(
        curves(
            "Busy engines",
            "Share of time that the engines of a process compute, added up.",
            query(
                "sum by (instance) (rate(flawline_engine_run_duration_seconds_sum[$__rate_interval]))",
                "{{instance}}",
            ),
            width=8,
            unit="percentunit",
        )
    )
