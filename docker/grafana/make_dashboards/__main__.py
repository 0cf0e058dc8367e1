"""Writes Grafana's dashboards as JSON: ``python docker/grafana/make_dashboards``. A test holds the two together."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import defects
import latency
import line_overview
import service_platform
from grafana_foundation_sdk.cog.encoder import JSONEncoder

PAGES = {
    "lines": line_overview,
    "defects": defects,
    "latency": latency,
    "platform": service_platform,
}


# What the SDK gives every variable, and the schema only those of intervals.
_NOT_IN_SCHEMA = {"auto", "auto_count", "auto_min"}


def plain(value: Any) -> Any:
    """Without what is not set, since Grafana's schema has no null for it, or is not of the schema."""
    if isinstance(value, dict):
        return {
            key: plain(part)
            for key, part in value.items()
            if part is not None and key not in _NOT_IN_SCHEMA
        }
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def unsay(part: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Leave out what Grafana takes for granted."""
    for key in [key for key, default in defaults.items() if part.get(key) == default]:
        del part[key]


def write(folder: Path) -> None:
    """One file a dashboard; panels are numbered in their order.

    What is deleted was of Grafana 10, which the SDK writes, and is no more of 13 (check_schema.py); both do without.
    """
    panels_say = {"transparent": False, "transformations": [], "repeatDirection": "h"}
    targets_say = {"instant": False, "range": False}
    for name, page in PAGES.items():
        made = plain(json.loads(JSONEncoder().encode(page.made().build())))
        for number, panel in enumerate(made["panels"], start=1):
            panel["id"] = number
            unsay(panel, panels_say)
            unsay(panel.get("fieldConfig", {}).get("defaults", {}), {"mappings": []})
            for target in panel.get("targets", ()):
                unsay(target, targets_say)
            if panel["type"] == "heatmap":
                del panel["options"]["tooltip"]
        del made["style"]
        for variable in made["templating"]["list"]:
            del variable["id"]
        text = json.dumps(made, indent=1, sort_keys=True)
        (folder / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).resolve().parents[1] / "dashboards"
    parser.add_argument("--to", type=Path, default=beside, help="folder to write to")
    write(parser.parse_args().to)
