"""A real Prometheus scrapes a running Flawline, and what it finds reaches people through a real Alertmanager.

The rules are those that are shipped, unchanged; only addresses, and how often is looked and told, are the tests' own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pictures import numbered
from prometheus_process import (
    AlertmanagerProcess,
    PrometheusProcess,
    Told,
    needs_alertmanager,
    needs_prometheus,
    until,
)
from redis_process import RedisProcess, needs_redis
from server_process import ServerProcess, WorkerProcess, run_flawline

pytestmark = [needs_prometheus, needs_alertmanager, needs_redis, pytest.mark.timeout(150)]

TOLD_WITHIN_S = 50


@dataclass(frozen=True)
class Plant:
    """One api and one worker on a queue in Redis, looked at twice a second."""

    api: ServerProcess
    shared: dict[str, str]
    engine_fails: Path
    prometheus: PrometheusProcess
    told: Told

    def inspect(self, picture: bytes, line: str) -> httpx.Response:
        return httpx.post(
            f"{self.api.url}/v1/inspections",
            params={"line": line, "deadline_ms": 20_000},
            content=picture,
            timeout=30,
        )


@pytest.fixture(scope="module")
def plant(
    artifact: Path, redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    shared = {"queue": redis.url, "queue_namespace": f"plant-{uuid.uuid4().hex[:8]}"}
    engine_fails = tmp_path_factory.mktemp("engine") / "fails"
    with ExitStack() as ending:
        api = ServerProcess(artifact, lines="mill-1,mill-2", queue_fallback="local", **shared)
        ending.callback(api.kill)
        worker = WorkerProcess(artifact, engine=f"fails_while={engine_fails}", **shared)
        ending.callback(worker.kill)
        told = Told()
        ending.callback(told.close)
        alertmanager = AlertmanagerProcess(tmp_path_factory.mktemp("alertmanager"), told.url)
        ending.callback(alertmanager.kill)
        targets = {
            "flawline-api": [api.url],
            "flawline-worker": [worker.metrics_url.removesuffix("/metrics")],
        }
        folder = tmp_path_factory.mktemp("prometheus")
        prometheus = PrometheusProcess(folder, targets, alertmanager.url)
        ending.callback(prometheus.kill)
        until(lambda: len(prometheus.query("up == 1")) == 2, "api and worker are scraped")
        yield Plant(api, shared, engine_fails, prometheus, told)


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


def test_every_rule_can_be_evaluated_on_what_is_scraped(plant: Plant) -> None:
    """Promtool does not see, for one, a join with more than one match."""

    def rules() -> list[dict[str, str]]:
        groups = plant.prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    assert len(rules()) > 40
    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each was evaluated once")
    assert [rule for rule in rules() if rule["health"] != "ok"] == []
