"""How long from start to ready: until the first real answer, by the server's own words or not."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from serving.environments import CannotInstall, install
from serving.pictures import Kind
from serving.plan import Plan
from serving.processes import DidNotStart, Processes
from serving.running import NoFigures, Running, give_up
from serving.servers import Server, Setting
from serving.store import Store


def measure_starts(
    plan: Plan, setting: Setting, servers: list[Server], kind: Kind, store: Store
) -> None:
    """Rows of the part `start`: every server in turn, as often as the plan repeats."""
    failed: set[str] = set()
    for repeat in range(plan.repeats):
        for server in servers:
            key = {"part": "start", "server": server.name, "repeat": repeat}
            if store.has(**key) or server.name in failed:
                continue
            try:
                install(setting, server)
                figures = _start(setting, server, kind)
            except (CannotInstall, DidNotStart, NoFigures) as error:
                failed.add(server.name)
                give_up(store, server.name, str(error))
                continue
            store.add(**key, **figures)
            print(f"{server.name}: ready after {figures['ready_s']:.2f} s", flush=True)


def _start(setting: Setting, server: Server, kind: Kind) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder) / "server") as processes:
        began_s = time.monotonic()
        addresses = server.start(setting, processes)
        ready_s = time.monotonic() - began_s
        door = next(iter(server.doors))
        running = Running(server, processes, addresses)
        figures = running.ask(
            door, kind, setting, seconds=30.0, warm_s=0.0, deadline_ms=1000.0, clients=1, frames=1
        )
        if not figures["answers"]:
            raise DidNotStart(f"ready, but its first answers were {figures['failures']}")
        # The first question is asked by a process that takes its time to start: it is counted from when it asks.
        return {"ready_s": ready_s, "first_answer_ms": figures["max_ms"]}
