"""What `flawline tune` prints when it is done."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flawline.application.tuning import Stage
from flawline.core.tuning import Objective, Standing

_WIDE = 120


def stage_table(stage: Stage, objective: Objective) -> Table:
    """A row for each candidate; the winner is marked."""
    choice = stage.choice
    names = [name for name, _ in choice.winner.measured.candidate.values]
    table = Table(
        title=f"Tried: {stage.name}",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right")
    table.add_column("frames/s", justify="right")
    table.add_column("callers" if objective.rate is None else "asked", justify="right")
    table.add_column("p99 ms", justify="right")
    table.add_column("missed", justify="right")
    table.add_column("kept")
    for standing in choice.standings:
        mark = " <-" if standing is choice.winner else ""
        values = [str(value) for _, value in standing.measured.candidate.values]
        table.add_row(*values, *_figures(standing, objective), _kept(standing) + mark)
    return table


def print_stages(stages: Sequence[Stage], objective: Objective) -> None:
    """All tables, in their order."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    for stage in stages:
        console.print(stage_table(stage, objective))


def _figures(standing: Standing, objective: Objective) -> list[str]:
    asked = str(standing.callers) if objective.rate is None else f"{objective.rate:g}/s"
    return [
        f"{standing.frames_per_s:.1f}",
        asked,
        f"{standing.p99_ms:.1f}",
        f"{standing.misses:g}",
    ]


def _kept(standing: Standing) -> str:
    return "yes" if standing.met else "no"
