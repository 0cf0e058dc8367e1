"""Proof that the load is not the limit: what the generator, and wrk beside it, reach on a server that does nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from serving.doors import GRPC, REST, STREAM
from serving.pictures import Kind
from serving.plan import Plan
from serving.processes import Processes, free_port, says_ok
from serving.running import started
from serving.servers import PYTHONPATH, STARTS_WITHIN_S, Addresses, Server, Setting
from serving.store import Store

CLIENTS = 8


def prove(plan: Plan, setting: Setting, kinds: Mapping[str, Kind], store: Store) -> None:
    """Rows of the part `proof`: each door on the null server, REST by wrk as well, for every kind."""
    for kind in kinds.values():
        server = Server(
            "null",
            "answers at once",
            partial(_start, kind=kind),
            {"rest": REST, "grpc": GRPC, "stream": STREAM},
        )
        folder = tempfile.TemporaryDirectory()
        with folder as path, started(setting, server, Path(path)) as running:
            for repeat in range(plan.repeats):
                for door in server.doors:
                    key = {"part": "proof", "kind": kind.name, "by": door, "repeat": repeat}
                    if store.has(**key):
                        continue
                    figures = running.ask(
                        door,
                        kind,
                        setting,
                        seconds=plan.seconds,
                        warm_s=plan.warm_s,
                        deadline_ms=plan.deadline_ms,
                        clients=CLIENTS,
                    )
                    store.add(**key, **figures)
                    _say(key, figures)
                _wrk(plan, kind, running.addresses.http_port, repeat, store)


def _start(setting: Setting, processes: Processes, *, kind: Kind) -> Addresses:
    addresses = Addresses(free_port(), free_port())
    command = [sys.executable, "-m", "serving.null_server"]
    command += [str(addresses.http_port), str(addresses.grpc_port)]
    command += [str(kind.folder.resolve()), str(setting.artifact)]
    processes.start(command, {"PYTHONPATH": PYTHONPATH})
    url = f"http://127.0.0.1:{addresses.http_port}/"
    processes.wait_until(lambda: says_ok(url), STARTS_WITHIN_S)
    return addresses


def _wrk(plan: Plan, kind: Kind, port: int, repeat: int, store: Store) -> None:
    """The same load by a program in C, where it is installed; it looks at no answer."""
    key = {"part": "proof", "kind": kind.name, "by": "wrk", "repeat": repeat}
    binary = shutil.which("wrk")
    if binary is None or store.has(**key):
        return
    picture = kind.folder.resolve() / "picture-00"
    script = kind.folder / "wrk.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = io.open("{picture}", "rb"):read("*a")\n'
        'wrk.headers["Content-Type"] = "image/jpeg"\n'
    )
    done = subprocess.run(  # noqa: S603
        [
            binary,
            "-t1",
            f"-c{CLIENTS}",
            f"-d{max(1, round(plan.seconds))}s",
            "-s",
            str(script),
            f"http://127.0.0.1:{port}{REST.target}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)
    figures = {"frames_per_s": float(rate), "generator_cpu_ms_a_frame": None}
    store.add(**key, **figures)
    _say(key, figures)


def _say(key: dict[str, Any], figures: dict[str, Any]) -> None:
    print(
        f"null server, {key['kind']}, {key['by']}: {figures['frames_per_s']:.0f} answers/s",
        flush=True,
    )
