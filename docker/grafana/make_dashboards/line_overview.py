"""For operators: each line in one row of large words and figures."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from panels import NONE_OR_CHECK, big, dashboard, now, words

# The gravest of what any api says of a line, as a number that panels turn into a word.
_STATE = """max by (line) (
  1 * flawline_line_state{line=~"$line",state="learning"}
  or 2 * flawline_line_state{line=~"$line",state="steady"}
  or 3 * flawline_line_state{line=~"$line",state="steel_changed"}
  or 4 * flawline_line_state{line=~"$line",state="camera_changed"}
  or 5 * (min by (line) (flawline_line_silent_seconds{line=~"$line"}) > bool 600)
)"""
_STATE_WORDS = words(
    {
        1: ("LEARNING", "blue"),
        2: ("OK", "green"),
        3: ("CHECK STEEL", "red"),
        4: ("CHECK CAMERA", "orange"),
        5: ("SILENT", "purple"),
    }
)


def made() -> build.Dashboard:
    """One row a line; declared lines only, since others are not watched."""
    page = dashboard(
        "flawline-lines",
        "Flawline: lines",
        "Is each line well? For a screen at the line, read from three metres away.",
        lines_of="flawline_line_silent_seconds",
        time_from="now-8h",
    )
    page.with_row(build.Row("$line").repeat("line"))
    for panel in (
        big(
            "Line",
            "OK: as in its base line. LEARNING: the base line is being learned. SILENT: no picture for ten minutes.",
            now(_STATE),
            width=7,
            name="{{line}}",
            mappings=_STATE_WORDS,
        ),
        big(
            "NotOK, 5 min",
            "Share of the parts with a verdict, in the last five minutes.",
            now('line:flawline_not_ok_per_evaluated:ratio_rate5m{line=~"$line"}'),
            width=5,
            unit="percentunit",
            decimals=1,
            no_value="none",
        ),
        big(
            "NotOK, 8 h",
            "Share of the parts with a verdict, in the last eight hours.",
            now('line:flawline_not_ok_per_evaluated:ratio_rate8h{line=~"$line"}'),
            width=4,
            unit="percentunit",
            decimals=1,
            no_value="none",
        ),
        big(
            "Look at, 1 h",
            "Parts that a person must judge: NotDecidable, or without a verdict; in the last hour.",
            now(
                "sum by (line) (increase(flawline_inspections_total"
                '{line=~"$line",verdict=~"NotDecidable|Undefined"}[1h]))'
            ),
            width=4,
            decimals=0,
        ),
        big(
            "Parts a min",
            "Pictures inspected, averaged over five minutes.",
            now('60 * line:flawline_inspections:rate5m{line=~"$line"}'),
            width=4,
            decimals=0,
        ),
    ):
        page.with_panel(panel)
    page.with_row(build.Row("Everything"))
    alarms = 'count(ALERTS{alertname=~"Flawline.*",alertstate="firing"}) or vector(0)'
    page.with_panel(
        big(
            "Alarms",
            "Of all lines and of the service. CHECK: the platform dashboard says which, docs/runbook.md what to do.",
            now(alarms),
            width=24,
            height=5,
            mappings=NONE_OR_CHECK,
        )
    )
    return page
