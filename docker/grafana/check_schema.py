"""Holds the dashboards against Grafana's own types: ``python docker/grafana/check_schema.py``. Needs npm.

No Grafana server can be installed from package registries; its schema, published for TypeScript, can.
The compiler finds unknown and misspelt properties and values of the wrong type, in dashboards and in
the options of their panels. Queries are run in tests, against a real Prometheus.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

PACKAGES = ("@grafana/schema@13.2.3", "typescript@7.0.2")
DASHBOARDS = sorted((Path(__file__).parent / "dashboards").glob("*.json"))
COMPOSABLE = "@grafana/schema/dist/esm/raw/composable"
OPTIONS = {
    "stat": "stat/panelcfg/x/StatPanelCfg_types.gen",
    "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
    "bargauge": "bargauge/panelcfg/x/BarGaugePanelCfg_types.gen",
    "heatmap": "heatmap/panelcfg/x/HeatmapPanelCfg_types.gen",
    "table": "table/panelcfg/x/TablePanelCfg_types.gen",
}

# JSON holds the values of enumerations, not their names.
PLAIN = """
type Plain<T> = T extends string ? `${T}`
  : T extends (infer Item)[] ? Plain<Item>[]
  : T extends object ? { [Key in keyof T]?: Plain<T[Key]> }
  : T;
"""


def program(path: Path) -> str:
    """TypeScript that compiles if the dashboard holds."""
    dashboard = json.loads(path.read_text("utf-8"))
    lines = ["import type { Dashboard } from '@grafana/schema';"]
    for name, module in OPTIONS.items():
        lines.append(f"import type {{ Options as {name} }} from '{COMPOSABLE}/{module}';")
    lines += [PLAIN, f"export const dashboard: Plain<Dashboard> = {json.dumps(dashboard)};"]
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            options = json.dumps(panel.get("options", {}))
            lines.append(f"void ({options} satisfies Plain<{panel['type']}>);")
    return "\n".join(lines)


def main() -> None:
    """Install the schema in a folder of its own, and compile. Ends with the compiler's status."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--silent", *PACKAGES], cwd=folder, check=True)
        for path in DASHBOARDS:
            (Path(folder) / f"{path.stem}.ts").write_text(program(path))
        names = [f"{path.stem}.ts" for path in DASHBOARDS]
        tsc = ["npx", "tsc", "--strict", "--noEmit", "--skipLibCheck", "--target", "es2022"]
        done = subprocess.run([*tsc, *names], cwd=folder, check=False)
    if done.returncode == 0:
        print(f"{len(DASHBOARDS)} dashboards hold against {PACKAGES[0]}")
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
