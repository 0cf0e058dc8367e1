"""Servers that run side by side, all but the measured one frozen, and the processes that ask them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.environments import CannotInstall, install, versions
from serving.generator import Load
from serving.pictures import Kind
from serving.processes import DidNotStart, Processes
from serving.servers import PYTHONPATH, Addresses, Server, Setting
from serving.store import Store

_OVERHEAD_S = 90.0
"""What a measurement may take beside its seconds: imports, reading the answers, a server that hangs."""


class NoFigures(Exception):  # noqa: N818 - it says what happened
    """A measurement broke off; the message says why."""


@dataclass(frozen=True)
class Running:
    """A server that was started."""

    server: Server
    processes: Processes
    addresses: Addresses

    def ask(self, door_name: str, kind: Kind, setting: Setting, **how: Any) -> dict[str, Any]:
        """Its figures under a load; raises NoFigures."""
        door = self.server.doors[door_name]
        load = Load(
            door=door,
            port=self.addresses.port_of(door),
            kind_folder=str(kind.folder),
            artifact=str(setting.artifact),
            pids=self.processes.roots,
            **how,
        )
        spec = self.processes.folder / "load.json"
        spec.write_text(load.to_json(), "utf-8")
        return figures_of("serving.generator", str(spec), limit_s=load.seconds + load.warm_s)


def figures_of(module: str, *arguments: str, limit_s: float) -> dict[str, Any]:
    """What one of our programs prints; raises NoFigures."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s + _OVERHEAD_S,
            env=os.environ | {"PYTHONPATH": PYTHONPATH},
        )
    except subprocess.TimeoutExpired as error:
        raise NoFigures(f"{module} hung") from error
    if done.returncode:
        raise NoFigures(done.stderr.strip()[-600:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def started(setting: Setting, server: Server, folder: Path) -> Iterator[Running]:
    """Installed, started, ready. Raises CannotInstall or DidNotStart."""
    install(setting, server)
    with Processes(folder / server.name) as processes:
        yield Running(server, processes, server.start(setting, processes))


def start_all(
    stack: ExitStack, setting: Setting, servers: list[Server], store: Store, folder: Path
) -> dict[str, Running]:
    """Those that start, frozen, by name; of the others the reason is written down."""
    up: dict[str, Running] = {}
    for server in servers:
        print(f"starting {server.name}: {server.about}", flush=True)
        try:
            running = stack.enter_context(started(setting, server, folder))
        except (CannotInstall, DidNotStart, OSError, subprocess.TimeoutExpired) as error:
            give_up(store, server.name, str(error))
            continue
        running.processes.freeze()
        store.forget(part="unavailable", server=server.name)  # in an earlier try
        up[server.name] = running
        if server.requirements and not store.has(part="versions", server=server.name):
            store.add(part="versions", server=server.name, versions=versions(setting, server))
    return up


def give_up(store: Store, name: str, reason: str) -> None:
    """Said and written down: a peer that cannot run is never left out in silence."""
    print(f"  {name} is left out: {reason}", flush=True)
    store.add(part="unavailable", server=name, reason=reason)
