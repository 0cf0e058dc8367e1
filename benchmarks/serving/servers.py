"""What can be started and asked: the type, and Flawline itself in its ways to run."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flawspec.artifact import read_manifest
from serving.doors import GRPC, MODEL_INFER, REST, STREAM, Door
from serving.processes import DidNotStart, Processes, connects, free_port, says_ok

STARTS_WITHIN_S = 120.0
ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = ":".join(str(ROOT / part) for part in ("benchmarks", "service", "models"))


@dataclass(frozen=True)
class Setting:
    """The same for all servers of a run.

    threads: what each computes with, in all of its processes together. cache: where environments lie.
    """

    artifact: Path
    threads: int
    cache: Path
    flawline_deadline_ms: int = 1000
    """By when Flawline answers, whatever happens; its peers have no such thing."""


@dataclass(frozen=True)
class Addresses:
    """Where a running server listens on loopback."""

    http_port: int = 0
    grpc_port: int = 0

    def port_of(self, door: Door) -> int:
        """The one that the door's transport speaks on."""
        return self.http_port if door.transport == "http" else self.grpc_port


Start = Callable[[Setting, Processes], Addresses]


@dataclass(frozen=True)
class Server:
    """A server that can be measured.

    start: starts its processes and returns once it is ready by its own word. about: how it is configured, for
    the reader of the table. peer: whether it is somebody else's.
    """

    name: str
    about: str
    start: Start
    doors: Mapping[str, Door]
    peer: bool = False
    requirements: tuple[str, ...] = ()
    """Of the environment that is made for it; none where it runs in this one."""
    environment: str = ""
    """The name of that environment; configurations of one peer share it."""


def flawline_servers(setting: Setting) -> list[Server]:
    """Embedded, and through Redis with one and two workers."""
    model = read_manifest(setting.artifact).model_name
    threads = setting.threads
    doors = {
        "rest": REST,
        "grpc": GRPC,
        "stream": STREAM,
        "oip-raw": Door("grpc", MODEL_INFER, "infer_images", f"{model}_raw"),
        "oip-raw-rest": Door("http", f"/v2/models/{model}_raw/infer", "infer_images"),
        "oip": Door("grpc", MODEL_INFER, "infer_picture", model),
    }
    embedded = f"flawline serve, {threads} engine and {threads} decoding threads"
    servers = [
        Server("flawline", embedded, partial(_flawline, threads=threads, workers=0), doors),
    ]
    for workers, each in ((1, threads), (1, 1), (2, 1)):
        name = f"flawline-redis-{workers}x{each}"
        about = f"flawline serve --queue redis, {workers} flawline worker of {each} thread(s)"
        start = partial(_flawline, threads=each, workers=workers)
        if name not in {server.name for server in servers}:
            servers.append(Server(name, about, start, {"rest": REST}))
    return servers


def _flawline(setting: Setting, processes: Processes, *, threads: int, workers: int) -> Addresses:
    addresses = Addresses(free_port(), free_port())
    environment = {
        "PYTHONPATH": PYTHONPATH,
        "FLAWLINE_ARTIFACT": str(setting.artifact),
        "FLAWLINE_PORT": str(addresses.http_port),
        "FLAWLINE_GRPC_PORT": str(addresses.grpc_port),
        "FLAWLINE_DEADLINE_MS": str(setting.flawline_deadline_ms),
        "FLAWLINE_ENGINE_THREADS": str(threads),
        "FLAWLINE_DECODE_THREADS": str(threads),
    }
    if workers:
        environment["FLAWLINE_QUEUE"] = _redis(processes)
        environment["FLAWLINE_METRICS_PORT"] = "0"
    flawline = [sys.executable, "-m", "flawline"]
    processes.start([*flawline, "serve"], environment)
    for _ in range(workers):
        processes.start([*flawline, "worker"], environment)
    url = f"http://127.0.0.1:{addresses.http_port}"
    processes.wait_until(lambda: says_ok(f"{url}/healthz/ready"), STARTS_WITHIN_S)
    if workers:
        processes.wait_until(lambda: _workers(url) == workers, STARTS_WITHIN_S)
    return addresses


def _redis(processes: Processes) -> str:
    """The address of a redis-server of its own, configured as README says."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise DidNotStart("redis-server is not installed (Debian: apt-get install redis-server)")
    port = free_port()
    command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(processes.folder)]
    command += ["--appendonly", "yes", "--maxmemory", "1gb", "--maxmemory-policy", "noeviction"]
    processes.start(command, {})
    processes.wait_until(lambda: connects(port), STARTS_WITHIN_S)
    return f"redis://127.0.0.1:{port}"


def _workers(url: str) -> int:
    with urllib.request.urlopen(f"{url}/v1/models", timeout=5) as answer:  # noqa: S310 - our own
        (model,) = json.load(answer)["models"]
    return int(model["workers"] or 0)
