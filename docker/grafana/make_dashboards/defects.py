"""For quality engineers: what is found, how much is usual, and whether camera or steel changed."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from panels import bars, curves, dashboard, query, signed, spread

_LINE = 'line=~"$line"'


def _of_line(metric: str, *more: str) -> str:
    by = ", ".join(("line", *more))
    return f"max by ({by}) ({metric}{{{_LINE}}})"


def made() -> build.Dashboard:
    """Defect rate and its limits first, then classes, scores and the camera."""
    page = dashboard(
        "flawline-defects",
        "Flawline: defects",
        "Which defects does which line make, is that usual, and did the camera or the steel change?",
        lines_of="flawline_inspections_total",
        time_from="now-8h",
    )
    _rates(page)
    _classes(page)
    _scores(page)
    _camera(page)
    return page


def _rates(page: build.Dashboard) -> None:
    page.with_row(build.Row("Defect rate"))
    page.with_panel(
        curves(
            "Defect rate and its control limits",
            "NotOK among the last parts with a verdict (solid), against base line and limits (dashed).",
            query(_of_line("flawline_defect_rate_ratio"), "{{line}}"),
            query(_of_line("flawline_defect_rate_baseline_ratio"), "{{line}} base line", ref="B"),
            query(
                _of_line("flawline_defect_rate_upper_limit_ratio"), "{{line}} upper limit", ref="C"
            ),
            query(
                _of_line("flawline_defect_rate_lower_limit_ratio"), "{{line}} lower limit", ref="D"
            ),
            width=16,
            height=10,
            unit="percentunit",
            dashed=".*(base line|limit)",
        )
    )
    page.with_panel(
        signed(
            curves(
                "Evidence of a change",
                "1: the defect rate rose by more than chance explains; -1: it fell. Either raises an alarm.",
                query(_of_line("flawline_defect_rate_deviation_ratio"), "{{line}}"),
                width=8,
                height=10,
            )
        )
    )
    page.with_panel(
        curves(
            "NotOK by line",
            "Over 5 minutes (solid), 1 hour and 8 hours (dashed).",
            *(
                query(
                    f"line:flawline_not_ok_per_evaluated:ratio_rate{window}{{{_LINE}}}",
                    f"{{{{line}}}} {window}",
                    ref=ref,
                )
                for ref, window in (("A", "5m"), ("B", "1h"), ("C", "8h"))
            ),
            unit="percentunit",
            dashed=".* (1h|8h)",
        )
    )
    page.with_panel(
        curves(
            "Verdicts a minute",
            "NotDecidable must be looked at; Undefined was not inspected.",
            query(
                f"60 * sum by (verdict) (rate(flawline_inspections_total{{{_LINE}}}[$__rate_interval]))",
                "{{verdict}}",
            ),
            stacked=True,
        )
    )


def _classes(page: build.Dashboard) -> None:
    page.with_row(build.Row("Classes"))
    page.with_panel(
        curves(
            "Defects in a picture, by class",
            "On average over five minutes.",
            query(
                f"line_class:flawline_defects_per_evaluated:ratio_rate5m{{{_LINE}}}",
                "{{line}} {{class}}",
            ),
            width=16,
            stacked=True,
        )
    )
    page.with_panel(
        bars(
            "Defects of the last 8 hours",
            "Which class to look at first.",
            query(
                f"sort_desc(sum by (class) (increase(flawline_defects_total{{{_LINE}}}[8h])))",
                "{{class}}",
            ),
        )
    )


def _scores(page: build.Dashboard) -> None:
    page.with_row(build.Row("Scores"))
    page.with_panel(
        spread(
            "Scores of what was found",
            "Many near the threshold mean: the model is unsure.",
            f"sum by (le) (increase(flawline_detection_score_bucket{{{_LINE}}}[$__rate_interval]))",
            unit="short",
            width=8,
        )
    )
    page.with_panel(
        curves(
            "Mean score by class",
            "Now (solid), and in the base line (dashed).",
            query(_of_line("flawline_score_mean", "class"), "{{line}} {{class}}"),
            query(
                _of_line("flawline_score_baseline_mean", "class"),
                "{{line}} {{class}} base line",
                ref="B",
            ),
            width=8,
            dashed=".*base line",
        )
    )
    page.with_panel(
        signed(
            curves(
                "Drift of scores",
                "1 and -1 raise the alarm score_drift.",
                query(_of_line("flawline_score_deviation_ratio", "class"), "{{line}} {{class}}"),
                width=8,
            )
        )
    )


def _camera(page: build.Dashboard) -> None:
    page.with_row(build.Row("Camera"))
    page.with_panel(
        curves(
            "Pictures: brightness, contrast, sharpness, saturated share",
            "Now (solid), and in the base line (dashed).",
            query(_of_line("flawline_frame_quality_ratio", "measure"), "{{line}} {{measure}}"),
            query(
                _of_line("flawline_frame_quality_baseline_ratio", "measure"),
                "{{line}} {{measure}} base line",
                ref="B",
            ),
            width=8,
            unit="percentunit",
            dashed=".*base line",
        )
    )
    page.with_panel(
        signed(
            curves(
                "Change of the camera",
                "1 and -1 raise the alarm camera.",
                query(
                    _of_line("flawline_frame_quality_deviation_ratio", "measure"),
                    "{{line}} {{measure}}",
                ),
                width=8,
            )
        )
    )
    page.with_panel(
        curves(
            "Pictures not to be trusted, a minute",
            "Each is NotDecidable, for the reason named.",
            query(
                f"60 * sum by (line, reason) (rate(flawline_undecidable_total{{{_LINE}}}[$__rate_interval]))",
                "{{line}} {{reason}}",
            ),
            width=8,
            stacked=True,
        )
    )
