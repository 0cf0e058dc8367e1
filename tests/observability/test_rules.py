"""Rules for Prometheus: well formed, tested on both sides, explained, and about metrics that there are."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_process import RULES, SHIPPED, needs_alertmanager, needs_prometheus

ROOT = SHIPPED.parent
CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def rules(kind: str) -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in loaded(path)["groups"]
        for rule in group["rules"]
        if kind in rule
    ]


ALERTS = sorted({rule["alert"] for rule in rules("alert")})


def check(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_promtool_accepts_configuration_and_rules() -> None:
    check("promtool", "check", "config", SHIPPED / "prometheus" / "prometheus.yml")
    check("promtool", "check", "rules", *RULES)


@needs_alertmanager
def test_amtool_accepts_the_configuration() -> None:
    amtool = shutil.which("amtool")
    assert amtool is not None
    check(amtool, "check-config", SHIPPED / "alertmanager" / "alertmanager.yml")


@needs_prometheus
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rules_say_what_they_should(path: Path) -> None:
    check("promtool", "test", "rules", path)


@functools.cache
def tried() -> dict[tuple[str, bool], int]:
    """How often each alert is tried, by whether it is to fire."""
    counts: dict[tuple[str, bool], int] = {}
    for path in CASES:
        for case in loaded(path)["tests"]:
            for trial in case.get("alert_rule_test", ()):
                key = (trial["alertname"], bool(trial["exp_alerts"]))
                counts[key] = counts.get(key, 0) + 1
    return counts


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tried_where_it_fires_and_where_it_must_not(alert: str) -> None:
    assert tried().get((alert, True), 0) >= 1
    assert tried().get((alert, False), 0) >= 1


def test_no_case_is_about_an_alert_that_is_gone() -> None:
    """Promtool finds that such an alert does not fire, and is content."""
    assert {alert for alert, _ in tried()} == set(ALERTS)


def test_each_alert_says_how_grave_it_is_and_what_to_do() -> None:
    for rule in rules("alert"):
        name = rule["alert"]
        assert name.startswith("Flawline")
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert rule["labels"]["area"] in {"line", "camera", "service", "platform"}, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_a_paragraph_for_each_alert_and_for_no_other() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    paragraphs = dict(re.findall(r"^### (\w+)\n(.+?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE))
    assert sorted(paragraphs) == ALERTS
    for rule in rules("alert"):
        paragraph = paragraphs[rule["alert"]]
        assert re.search(rf"\*{rule['labels']['severity']}\.?\*", paragraph), rule["alert"]
        assert len(paragraph.split()) > 30


def test_routes_and_silences_are_about_alerts_that_there_are() -> None:
    text = (SHIPPED / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    assert set(re.findall(r"Flawline\w+", text)) <= set(ALERTS)


def known_names() -> set[str]:
    """Every series that processes show, or rules record."""
    spec = importlib.util.spec_from_file_location("make_metrics", ROOT / "docs/make_metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = {"up"} | {rule["record"] for rule in rules("record")}
    for name, metric in module.metrics().items():
        parts = ("_bucket", "_count", "_sum") if metric.type == "histogram" else ("",)
        names |= {name + part for part in parts}
    return names


def test_rules_ask_for_series_that_there_are() -> None:
    known = known_names()
    for rule in rules("expr"):
        asked = set(re.findall(r"(?:\w+:)?\bflawline_\w+(?::\w+)?|\bup\b", rule["expr"]))
        assert asked, rule
        assert asked <= known, sorted(asked - known)


def test_what_is_recorded_is_named_by_level_metric_and_operation() -> None:
    for rule in rules("record"):
        assert re.fullmatch(r"(line|line_class|stage|service):flawline_\w+:\w+", rule["record"])
