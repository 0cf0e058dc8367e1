"""Panels as this project wants them: one look, a sentence with each, and words beside every colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
Panel = stat.Panel | timeseries.Panel | bargauge.Panel | heatmap.Panel | table.Panel

# Readable three metres away; the panel's own title is not, so the name stands inside as well.
_BIG_VALUE_PX = 64
_BIG_NAME_PX = 30


def dashboard(
    uid: str, title: str, description: str, *, time_from: str, lines_of: str | None = None
) -> build.Dashboard:
    """An empty one; `lines_of`: the metric whose lines may be picked, where panels go by `$line`."""
    source = build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    page = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["flawline"])
        .timezone("browser")
        .time(time_from, "now")
        .refresh("10s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            build.DashboardLink("Flawline")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["flawline"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(source)
    )
    return page if lines_of is None else page.with_variable(_lines(lines_of))


def _lines(metric: str) -> build.QueryVariable:
    everything = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        build.QueryVariable("line")
        .label("Line")
        .query(f"label_values({metric}, line)")
        .datasource(DATASOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(everything)
    )


def query(expression: str, legend: str = "", *, ref: str = "A") -> prometheus.Dataquery:
    """A curve for each series; `legend` may name labels: {{line}}."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).range().ref_id(ref)


def now(expression: str, legend: str = "", *, ref: str = "A") -> prometheus.Dataquery:
    """The values of this moment only."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).instant().ref_id(ref)


def words(meaning: Mapping[int, tuple[str, str]]) -> list[model.ValueMapping]:
    """By value, the word to show instead, and its colour."""
    results = {
        str(value): model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(meaning.items())
    }
    return [model.ValueMap(options=results)]


def _from_one(text: str, color: str) -> model.RangeMap:
    result = model.ValueMappingResult(text=text, color=color, index=1)
    return model.RangeMap(options=model.DashboardRangeMapOptions(from_val=1, to=1e9, result=result))


NONE_OR_CHECK = [*words({0: ("NONE", "green")}), _from_one("CHECK", "red")]
"""For counts of what should not be there."""


def big(
    title: str,
    description: str,
    target: prometheus.Dataquery,
    *,
    width: int,
    name: str | None = None,
    height: int = 6,
    unit: str = "short",
    decimals: int | None = None,
    mappings: Sequence[model.ValueMapping] = (),
    no_value: str = "no data",
) -> stat.Panel:
    """One value under its name, both large; coloured only where its words change as well.

    name: instead of the title; may name labels.
    """
    color_mode = (
        looks.BigValueColorMode.BACKGROUND_SOLID if mappings else looks.BigValueColorMode.NONE
    )
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .with_target(target.legend_format(name or title))
        .unit(unit)
        .mappings(list(mappings))
        .no_value(no_value)
        .color_mode(color_mode)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .justify_mode(looks.BigValueJustifyMode.CENTER)
        .text_mode(looks.BigValueTextMode.VALUE_AND_NAME)
        .text(common.VizTextDisplayOptions().title_size(_BIG_NAME_PX).value_size(_BIG_VALUE_PX))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color("text"))
    )
    return panel if decimals is None else panel.decimals(decimals)


def curves(
    title: str,
    description: str,
    *targets: prometheus.Dataquery,
    width: int = 12,
    height: int = 8,
    unit: str = "short",
    stacked: bool = False,
    dashed: str | None = None,
    mappings: Sequence[model.ValueMapping] = (),
) -> timeseries.Panel:
    """Curves over time with their last values; `dashed`: a pattern of legends that are drawn so."""
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.TABLE)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .targets(list(targets))
        .unit(unit)
        .min(0)
        .mappings(list(mappings))
        .legend(legend)
        .line_width(2)
        .fill_opacity(30 if stacked else 0)
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    if dashed is not None:
        style = {"fill": "dash", "dash": [10, 10]}
        panel = panel.override_by_regexp(
            dashed, [model.DynamicConfigValue(id_val="custom.lineStyle", value=style)]
        )
    return panel


def signed(panel: timeseries.Panel) -> timeseries.Panel:
    """For deviations: from -1 to 1, where the limits are, and beyond."""
    return panel.min(-1.5).max(1.5)


def bars(
    title: str, description: str, target: prometheus.Dataquery, *, width: int = 8, height: int = 8
) -> bargauge.Panel:
    """One bar a series, its name and value written beside it."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .with_target(target)
        .unit("short")
        .min(0)
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color("blue"))
    )


def spread(
    title: str, description: str, buckets: str, *, unit: str, width: int = 12, height: int = 8
) -> heatmap.Panel:
    """A histogram over time; `buckets`: increases, summed by le."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .with_target(query(buckets, "{{le}}").format(PromQueryFormat.HEATMAP))
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .show_legend()
    )


def facts(
    title: str,
    description: str,
    target: prometheus.Dataquery,
    *hidden: str,
    width: int = 12,
    height: int = 6,
) -> table.Panel:
    """The labels of series as rows, without those named."""
    without = dict.fromkeys(("Time", "Value", "__name__", *hidden), True)
    organize = model.DataTransformerConfig(id_val="organize", options={"excludeByName": without})
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .with_target(target.format(PromQueryFormat.TABLE))
        .with_transformation(organize)
        .no_value("none")
    )
