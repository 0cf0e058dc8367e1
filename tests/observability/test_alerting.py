"""A real Prometheus scrapes a running Flawline, and what it finds reaches people through a real Alertmanager.

The rules are those that are shipped, unchanged; only addresses, and how often is looked and told, are the tests' own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pictures import numbered
from plant import Plant, good
from prometheus_process import AlertmanagerProcess, needs_alertmanager, needs_prometheus, until
from redis_process import needs_redis
from server_process import run_flawline

pytestmark = [needs_prometheus, needs_alertmanager, needs_redis, pytest.mark.timeout(150)]

TOLD_WITHIN_S = 50


def test_a_dead_letter_reaches_somebody_until_it_is_dropped(plant: Plant) -> None:
    assert plant.inspect(numbered(0), "mill-1").status_code == 200
    plant.engine_fails.touch()
    failed = plant.inspect(numbered(1), "mill-1")
    plant.engine_fails.unlink()
    assert (failed.status_code, failed.json()["verdict"]) == (504, "Undefined")
    receiver, alert = plant.told.of("FlawlineDeadLetters", "firing", TOLD_WITHIN_S)
    assert receiver == "shift"
    assert alert["labels"] == {
        "alertname": "FlawlineDeadLetters",
        "severity": "warning",
        "area": "service",
    }
    assert alert["annotations"]["summary"] == "Dead letters wait for somebody to look at them: 1"
    assert alert["annotations"]["runbook"] == "docs/runbook.md#flawlinedeadletters"
    listed = run_flawline("dead-letters", "list", **plant.shared)
    letter_id = listed.stdout.split()[0]
    assert run_flawline("dead-letters", "drop", letter_id, **plant.shared).returncode == 0
    plant.told.of("FlawlineDeadLetters", "resolved", TOLD_WITHIN_S)


def test_a_rising_defect_rate_reaches_somebody_with_the_name_of_its_line(plant: Plant) -> None:
    line = "mill-3"
    usual = [good(number) if number % 10 else numbered(number) for number in range(60)]
    worse = [good(number) if number % 2 else numbered(number) for number in range(60, 240)]
    assert all(answer.is_success for answer in plant.inspect_all(usual + worse, line))
    receiver, alert = plant.told.of("FlawlineDefectRateOutsideLimits", "firing", TOLD_WITHIN_S)
    assert receiver == "shift"
    assert alert["labels"] == {
        "alertname": "FlawlineDefectRateOutsideLimits",
        "severity": "critical",
        "area": "line",
        "line": line,
    }
    assert line in alert["annotations"]["summary"]
    assert not plant.prometheus.query(
        f'ALERTS{{alertname="FlawlineDefectRateOutsideLimits",line!="{line}"}}'
    )


def test_every_rule_can_be_evaluated_on_what_is_scraped(plant: Plant) -> None:
    """Promtool does not see, for one, a join with more than one match."""

    def rules() -> list[dict[str, str]]:
        groups = plant.prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    assert len(rules()) > 40
    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each was evaluated once")
    assert [rule for rule in rules() if rule["health"] != "ok"] == []


@pytest.mark.parametrize(
    ("raised", "hidden"),
    [
        ("ApiDown@1 LineSilent@ VerdictBudgetBurning@", ""),
        ("NotReady@1 LineSilent@ VerdictBudgetBurning@", "VerdictBudgetBurning@"),
        ("NotReady@1/a VerdictBudgetBurning@/a QueueFull@/b", "VerdictBudgetBurning@/a"),
        ("QueueUnreachable@1/a NoWorker@/a NoWorker@/b", "NoWorker@/a"),
        ("NoWorker@ NotReady@1 NotReady@2 QueueUnreachable@1", "NoWorker@ NotReady@1"),
        ("EngineFailing!@1 EngineFailing@2", ""),
    ],
)
def test_one_instance_hides_what_follows_from_it(tmp_path: Path, raised: str, hidden: str) -> None:
    manager = AlertmanagerProcess(tmp_path, "http://127.0.0.1:9")
    url = f"{manager.url}/api/v2/alerts"
    split = [re.split("[@/]", f"{alert}/")[:3] for alert in raised.split()]
    alerts = [
        {
            "labels": {
                "alertname": f"Flawline{name.rstrip('!')}",
                "severity": "critical" if name.endswith("!") else "warning",
                "instance": at,
                "namespace": of,
            }
        }
        for name, at, of in split
    ]

    def known() -> dict[str, Any]:
        found = [(alert["labels"], alert["status"]) for alert in httpx.get(url).json()]
        return {
            f"{its['alertname'][8:]}@{its.get('instance', '')}/{its.get('namespace', '')}".rstrip(
                "/"
            ): how
            for its, how in found
        }

    try:
        httpx.post(url, json=alerts).raise_for_status()
        until(lambda: len(known()) == len(alerts), "all are known")
        kept_quiet = {name for name, status in known().items() if status["inhibitedBy"]}
        assert kept_quiet == set(hidden.split())
    finally:
        manager.kill()
