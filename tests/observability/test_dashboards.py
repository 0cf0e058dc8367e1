"""Dashboards: as their code makes them, readable, and with data in every query."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pictures import DARK, numbered, quarters, truncated
from plant import LINES, Plant, good
from prometheus_process import SHIPPED, needs_alertmanager, needs_prometheus, until
from redis_process import needs_redis

GRAFANA = SHIPPED / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
# What Grafana puts in; a rate over fewer than two scrapes has no value.
VARIABLES = {"$line": "|".join(LINES), "$__rate_interval": "1m"}
needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec("grafana_foundation_sdk") is None,
    reason="grafana-foundation-sdk needs Python 3.11 or newer",
)


def loaded(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.stem, panel)
        for path in FILES
        for panel in loaded(path)["panels"]
        if panel["type"] != "row"
    ]


def queries() -> dict[str, str]:
    """Every query, as Grafana would send it, by where it stands."""
    found = {}
    for name, panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression
            found[f"{name}: {panel['title']} ({target['refId']})"] = expression
    return found


@needs_sdk
def test_dashboards_are_those_that_the_code_makes(tmp_path: Path) -> None:
    command = [sys.executable, GRAFANA / "make_dashboards", "--to", tmp_path]
    subprocess.run(command, check=True, timeout=50)
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    written = {path.name: path.read_text("utf-8") for path in FILES}
    assert made == written, "run: python docker/grafana/make_dashboards"


@needs_sdk
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_sdk_reads_back_what_was_written(path: Path) -> None:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    assert Dashboard.from_json(loaded(path)).uid == f"flawline-{path.stem}"


def test_panels_lie_side_by_side_and_explain_themselves() -> None:
    for path in FILES:
        taken: set[tuple[int, int]] = set()
        for panel in loaded(path)["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, panel["title"]
            cells = {
                (place["x"] + dx, place["y"] + dy)
                for dx in range(place["w"])
                for dy in range(place["h"])
            }
            assert not cells & taken, f"{path.stem}: {panel['title']} lies on another"
            taken |= cells
            assert panel["type"] == "row" or len(panel["description"]) > 10, panel["title"]


def test_colour_is_never_the_only_sign() -> None:
    """Whatever colours a value also says it in a word of its own; curves are told apart by legends."""
    for name, panel in panels():
        defaults = panel["fieldConfig"]["defaults"]
        words = [
            result
            for mapping in defaults.get("mappings", ())
            for result in (
                mapping["options"].values()
                if mapping["type"] == "value"
                else [mapping["options"]["result"]]
            )
        ]
        assert len({word["text"] for word in words}) == len(words), (name, panel["title"])
        assert defaults.get("color", {}).get("mode") != "thresholds", (name, panel["title"])
        if panel["type"] == "stat":
            coloured = panel["options"]["colorMode"] != "none"
            assert coloured == bool(words), (name, panel["title"])
        if panel["type"] == "timeseries":
            legends = [target["legendFormat"] for target in panel["targets"]]
            assert all(legends), (name, panel["title"])
            assert len(set(legends)) == len(legends), (name, panel["title"])


def test_the_lines_can_be_read_from_three_metres() -> None:
    for panel in loaded(GRAFANA / "dashboards" / "lines.json")["panels"]:
        if panel["type"] != "row":
            assert panel["type"] == "stat"
            assert panel["options"]["text"]["valueSize"] >= 60
            # Titles are small everywhere in Grafana.
            assert panel["options"]["textMode"] == "value_and_name"
            assert panel["options"]["text"]["titleSize"] >= 28
            assert panel["gridPos"]["h"] >= 5


def test_provisioning_names_what_there_is() -> None:
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/flawline.yaml").read_text("utf-8")
    )["datasources"]
    prometheus = yaml.safe_load((SHIPPED / "prometheus/prometheus.yml").read_text("utf-8"))
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    # By DNS it would forget a container that ended.
    assert all("dns_sd_configs" not in job for job in prometheus["scrape_configs"])
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/flawline.yaml").read_text("utf-8")
    )["providers"]
    assert provider["type"] == "file"
    assert len({loaded(path)["uid"] for path in FILES}) == len(FILES) == 4


@needs_prometheus
@needs_alertmanager
@needs_redis
@pytest.mark.timeout(180)
def test_every_query_has_data_once_a_line_runs(plant: Plant) -> None:
    pictures = [good(number) if number % 4 else numbered(number) for number in range(60)]
    for line in ("mill-1", "mill-2"):
        assert all(answer.is_success for answer in plant.inspect_all(pictures, line))
    assert plant.inspect(quarters(DARK), "mill-1").json()["verdict"] == "NotDecidable"
    assert plant.inspect(truncated(), "mill-1").status_code == 422
    plant.engine_fails.touch()
    plant.inspect(numbered(1), "mill-2")
    plant.engine_fails.unlink()
    left = queries()
    assert len(left) > 60

    def all_answered() -> bool:
        for where, expression in list(left.items()):
            if plant.prometheus.query(expression):
                del left[where]
        return not left

    try:
        until(all_answered, "every query has data")
    except AssertionError:
        raise AssertionError(
            "no data for:\n" + "\n".join(f"{k}: {v}" for k, v in left.items())
        ) from None
    for verdict in ("OK", "NotOK", "NotDecidable", "Undefined"):
        (sample,) = plant.prometheus.query(
            f'sum(flawline_inspections_total{{verdict="{verdict}"}})'
        )
        assert float(sample["value"][1]) > 0, verdict


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_may_be_picked_changes_a_panel(path: Path) -> None:
    asked = json.dumps(loaded(path)["panels"])
    for variable in loaded(path)["templating"]["list"]:
        assert re.search(rf"\$\{{?{variable['name']}\b", asked), variable["name"]


def test_panels_do_not_ask_for_lines_by_name() -> None:
    for name, panel in panels():
        for target in panel["targets"]:
            assert not re.search(r'line="', target["expr"]), (name, panel["title"])
