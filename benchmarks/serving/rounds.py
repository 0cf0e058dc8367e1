"""The load: every contender in turn, cell by cell, again and again; the others are frozen meanwhile."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from serving.pictures import Kind
from serving.plan import LIMITS, Cell, Plan, split
from serving.running import NoFigures, Running, figures_of, give_up, start_all
from serving.servers import Server, Setting
from serving.store import Store

_ATTEMPTS = 3


class Rounds:
    """One run of the plan over servers that stay up."""

    def __init__(self, plan: Plan, setting: Setting, kinds: dict[str, Kind], store: Store) -> None:
        self._plan = plan
        self._setting = setting
        self._kinds = kinds
        self._store = store
        self._up: dict[str, Running] = {}
        self._done = 0
        self._measured = 0
        self._began_s = time.monotonic()

    def run(self, servers: list[Server]) -> None:
        """All of the plan that is not yet in the store."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._up = start_all(stack, self._setting, servers, self._store, folder)
            self._began_s = time.monotonic()
            for repeat in range(self._plan.repeats):
                for kind in self._plan.kinds:
                    for cell in self._plan.cells:
                        for contender in self._plan.order(repeat, cell):
                            self._turn(contender, kind, cell, repeat)

    def _turn(self, contender: str, kind: str, cell: Cell, repeat: int) -> None:
        self._done += 1
        key = {
            "part": "load",
            "contender": contender,
            "kind": kind,
            "clients": cell.clients,
            "rate_fps": cell.rate_fps,
            "repeat": repeat,
        }
        if self._store.has(**key) or not (contender in LIMITS or split(contender)[0] in self._up):
            return
        try:
            figures = self._quietest(contender, self._kinds[kind], cell)
        except NoFigures as error:
            self._store.add(part="broken", **{k: v for k, v in key.items() if k != "part"})
            print(f"  {contender} gave no figures: {error}", flush=True)
            self._drop_if_ended(contender)
            return
        self._measured += 1
        self._store.add(**key, **figures)
        self._say(contender, kind, cell, figures)
        self._drop_if_ended(contender)

    def _quietest(self, contender: str, kind: Kind, cell: Cell) -> dict[str, Any]:
        """What was measured while others computed least, until that is little enough."""
        best: dict[str, Any] = {}
        for _ in range(_ATTEMPTS):
            figures = self._measure(contender, kind, cell)
            known_s = figures["server_cpu_s"] + figures["generator_cpu_s"]
            others = (figures["machine_cpu_s"] - known_s) / figures["seconds"]
            figures["others_cores"] = max(0.0, others)
            if not best or figures["others_cores"] < best["others_cores"]:
                best = figures
            if best["others_cores"] <= self._plan.quiet_cores:
                break
        return best

    def _measure(self, contender: str, kind: Kind, cell: Cell) -> dict[str, Any]:
        plan = self._plan
        if contender in LIMITS:
            bare, threads = LIMITS[contender], self._setting.threads
            loops = threads if bare.side_by_side else 1
            words = [str(kind.folder), str(self._setting.artifact), str(threads // loops)]
            words += [str(loops), str(bare.batch), str(plan.seconds), str(plan.warm_s)]
            return figures_of("serving.limit", *words, limit_s=plan.seconds + plan.warm_s)
        server, door = split(contender)
        running = self._up[server]
        running.processes.thaw()
        try:
            return running.ask(
                door,
                kind,
                self._setting,
                seconds=plan.seconds,
                warm_s=plan.warm_s,
                deadline_ms=plan.deadline_ms,
                clients=cell.clients,
                rate_fps=cell.rate_fps,
            )
        finally:
            running.processes.freeze()

    def _drop_if_ended(self, contender: str) -> None:
        server = split(contender)[0]
        if server in self._up and not self._up[server].processes.alive:
            give_up(self._store, server, f"it ended: {self._up[server].processes.log_end()}")
            del self._up[server]

    def _say(self, contender: str, kind: str, cell: Cell, figures: dict[str, Any]) -> None:
        left = self._plan.measurements - self._done
        minutes = (time.monotonic() - self._began_s) / self._measured * left / 60
        failed = f", FAILED {figures['failures']}" if figures["failures"] else ""
        if figures["others_cores"] > self._plan.quiet_cores:
            failed += f", DISTURBED by {figures['others_cores']:.2f} cores of others"
        p50 = figures["p50_ms"]
        print(
            f"[{self._done}/{self._plan.measurements}, {minutes:.0f} min left] {kind}, {cell.words}, "
            f"{contender}: {figures['frames_per_s']:.1f} frames/s, p50 {p50 or float('nan'):.1f} ms{failed}",
            flush=True,
        )
