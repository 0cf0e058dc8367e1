"""A Prometheus and an Alertmanager of the tests' own, on free ports, and someone whom alerts reach."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis_process import free_port

STARTS_WITHIN_S = 30
SHIPPED = Path(__file__).parents[2] / "docker"
RULES = sorted((SHIPPED / "prometheus" / "rules").glob("*.yml"))
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="Debian's prometheus is not installed"
)
needs_alertmanager = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None,
    reason="Debian's prometheus-alertmanager is not installed",
)


class _Server:
    """A process that answers `/-/ready` once it can be used."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log
            )
        ends_s = time.monotonic() + STARTS_WITHIN_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > ends_s:
                self.kill()
                raise AssertionError(f"{command[0]} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False


class PrometheusProcess(_Server):
    """Runs the shipped rules as they are, and the shipped configuration but for times and addresses.

    targets: by job, the URLs of what to scrape; alertmanager: its URL.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, list[str]],
        alertmanager: str,
        every: str = "500ms",
    ) -> None:
        config = yaml.safe_load((SHIPPED / "prometheus" / "prometheus.yml").read_text("utf-8"))
        config["global"] = {"scrape_interval": every, "evaluation_interval": every}
        config["rule_files"] = [str(path) for path in RULES]
        config["alerting"]["alertmanagers"] = [_at([alertmanager])]
        for job in config["scrape_configs"]:
            job.update(_at(targets[job["job_name"]]))
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        storage = f"--storage.tsdb.path={folder / 'data'}"
        super().__init__(folder, ["prometheus", f"--config.file={file}", storage])

    def ask(self, path: str, **query: str) -> Any:
        """`data` of an answer of its API. Raises AssertionError with what it says is wrong."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=30).json()
        assert answer["status"] == "success", f"{query}: {answer.get('error')}"
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now."""
        return self.ask("query", query=expression)["result"]


def _at(urls: list[str]) -> dict[str, Any]:
    targets = [url.removeprefix("http://") for url in urls]
    return {"static_configs": [{"targets": targets}]}


class AlertmanagerProcess(_Server):
    """Runs the shipped routes, waits for nothing, and tells `webhook` what it would tell anybody."""

    def __init__(self, folder: Path, webhook: str) -> None:
        config = yaml.safe_load((SHIPPED / "alertmanager" / "alertmanager.yml").read_text("utf-8"))
        config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
        for receiver in config["receivers"]:
            receiver["webhook_configs"] = [{"url": f"{webhook}/{receiver['name']}"}]
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(
            folder,
            [
                "prometheus-alertmanager",
                f"--config.file={file}",
                f"--storage.path={folder / 'data'}",
                "--cluster.listen-address=",
            ],
        )


class Told:
    """Listens for what Alertmanager has to say."""

    def __init__(self) -> None:
        self._notices: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        notices = self._notices

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                for alert in json.loads(body)["alerts"]:
                    notices.put((self.path.strip("/"), alert))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def of(self, alertname: str, status: str, within_s: float) -> tuple[str, dict[str, Any]]:
        """Wait for that notice; returns the receiver and the alert. Others are dropped."""
        ends_s = time.monotonic() + within_s
        others = []
        while (left_s := ends_s - time.monotonic()) > 0:
            try:
                receiver, alert = self._notices.get(timeout=left_s)
            except queue.Empty:
                break
            if (alert["labels"]["alertname"], alert["status"]) == (alertname, status):
                return receiver, alert
            others.append(alert["labels"]["alertname"])
        raise AssertionError(f"{alertname} was not {status} within {within_s} s; told: {others}")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def until(condition: Callable[[], object], what: str, within_s: float = 45) -> None:
    """Look every so often whether it has come to pass."""
    ends_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_s, f"not within {within_s} s: {what}"
        time.sleep(0.2)
