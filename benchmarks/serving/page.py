"""`--write-docs`: the tables of a run into docs/performance.md, between two marks, with its plots beside."""

from __future__ import annotations

import shutil
import statistics
import sys
from typing import Any

from serving.servers import ROOT
from serving.store import Store

PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
BEGIN, END = "<!-- made by make bench: begin -->", "<!-- made by make bench: end -->"
MOST_DISTURBED = 0.05


def write_page(store: Store, run: dict[str, Any], quiet_cores: float) -> None:
    """Refuses figures that were measured while others computed: exits with what was seen."""
    others = [row["others_cores"] for row in store.part("load")]
    if not others:
        sys.exit("--write-docs: nothing was measured under load")
    disturbed = sum(cores > quiet_cores for cores in others) / len(others)
    if disturbed > MOST_DISTURBED:
        sys.exit(
            f"--write-docs: beside {disturbed:.0%} of the measurements others computed with more than {quiet_cores:g} "
            f"cores (median {statistics.median(others):.2f}); the page shows figures of a quiet machine alone"
        )
    if str(run["commit"]).endswith("-dirty"):
        sys.exit(
            "--write-docs: the tree has changes that are not committed; nobody could repeat this"
        )
    table = (store.folder / "table.md").read_text("utf-8")
    PLOTS.mkdir(exist_ok=True)
    plots = sorted(store.folder.glob("*.svg"))
    for plot in plots:
        shutil.copyfile(plot, PLOTS / plot.name)
    pictures = "\n".join(f"![{plot.stem}]({PLOTS.name}/{plot.name})" for plot in plots)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n{pictures}\n\n{END}{after}", "utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
