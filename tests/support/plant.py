"""A running Flawline that a real Prometheus looks at, with somebody whom its alerts reach."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pictures import quarters
from prometheus_process import AlertmanagerProcess, PrometheusProcess, Told, until
from redis_process import RedisProcess
from server_process import ServerProcess, WorkerProcess

LINES = ("mill-1", "mill-2", "mill-3")


@dataclass(frozen=True)
class Plant:
    """One api and one worker on a queue in Redis, looked at twice a second.

    shared: settings that name the queue; engine_fails: while that file is there, the worker's engine does.
    """

    api: ServerProcess
    shared: dict[str, str]
    engine_fails: Path
    prometheus: PrometheusProcess
    told: Told

    def inspect(self, picture: bytes, line: str) -> httpx.Response:
        (answer,) = self.inspect_all([picture], line)
        return answer

    def inspect_all(self, pictures: Sequence[bytes], line: str) -> list[httpx.Response]:
        """Several at a time, begun in their order."""
        query = {"line": line, "deadline_ms": 20_000}
        with (
            httpx.Client(base_url=self.api.url, timeout=30) as client,
            ThreadPoolExecutor(8) as pool,
        ):
            return list(
                pool.map(
                    lambda picture: client.post("/v1/inspections", params=query, content=picture),
                    pictures,
                )
            )


def good(number: int) -> bytes:
    """A picture that the tiny network finds nothing on; the number makes it another one."""
    return quarters((40 + number % 16, 70, 41 + number // 16 % 16, 70))


@contextmanager
def running_plant(
    artifact: Path, redis: RedisProcess, folder: Callable[[str], Path]
) -> Iterator[Plant]:
    """Everything started, and ended; `folder` makes one."""
    shared = {"queue": redis.url, "queue_namespace": f"plant-{uuid.uuid4().hex[:8]}"}
    # Base lines from few frames, and certainty from few more: what takes a plant hours takes a test seconds.
    watched = {
        "lines": ",".join(LINES),
        "baseline_frames": "50",
        "defect_rate_window": "20",
        "false_alarm_frames": "10000",
    }
    engine_fails = folder("engine") / "fails"
    with ExitStack() as ending:
        api = ServerProcess(artifact, queue_fallback="local", **watched, **shared)
        ending.callback(api.kill)
        worker = WorkerProcess(artifact, engine=f"fails_while={engine_fails}", **shared)
        ending.callback(worker.kill)
        told = Told()
        ending.callback(told.close)
        alertmanager = AlertmanagerProcess(folder("alertmanager"), told.url)
        ending.callback(alertmanager.kill)
        targets = {
            "flawline-api": [api.url],
            "flawline-worker": [worker.metrics_url.removesuffix("/metrics")],
        }
        prometheus = PrometheusProcess(folder("prometheus"), targets, alertmanager.url)
        ending.callback(prometheus.kill)
        until(lambda: len(prometheus.query("up == 1")) == 2, "api and worker are scraped")
        yield Plant(api, shared, engine_fails, prometheus, told)
