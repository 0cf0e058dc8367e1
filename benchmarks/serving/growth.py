"""Memory over a long run: RSS after the first 10,000 frames, and how much it grows over the next 50,000."""

from __future__ import annotations

import tempfile
from pathlib import Path

from serving.environments import CannotInstall
from serving.pictures import Kind
from serving.plan import Plan
from serving.processes import DidNotStart
from serving.running import NoFigures, Running, give_up, started
from serving.servers import Server, Setting
from serving.store import Store

FIRST, THEN, STEP = 10_000, 50_000, 5_000
CLIENTS = 8
_SLOWEST_FPS = 5.0


def measure_growth(
    plan: Plan, setting: Setting, servers: list[Server], kind: Kind, store: Store, scale: float
) -> None:
    """Rows of the part `rss`, one each `STEP` frames; scale: 1 for all frames, less for a look."""
    for server in servers:
        if store.has(part="rss", server=server.name, frames=round((FIRST + THEN) * scale)):
            continue
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                started(setting, server, Path(folder)) as running,
            ):
                _watch(plan, setting, running, kind, store, scale)
        except (CannotInstall, DidNotStart, NoFigures) as error:
            give_up(store, server.name, str(error))


def _watch(
    plan: Plan, setting: Setting, running: Running, kind: Kind, store: Store, scale: float
) -> None:
    step = round(STEP * scale)
    answered = 0
    while answered < round((FIRST + THEN) * scale):
        figures = running.ask(
            next(iter(running.server.doors)),
            kind,
            setting,
            seconds=step / _SLOWEST_FPS,
            warm_s=0.0,
            deadline_ms=plan.deadline_ms,
            clients=CLIENTS,
            frames=step,
        )
        if figures["failures"]:
            raise NoFigures(f"not every frame got a real answer: {figures['failures']}")
        answered += step  # a few more were answered: those that were under way
        memory = {name: figures[name] for name in ("rss_mb", "pss_mb")}
        store.add(part="rss", server=running.server.name, frames=answered, **memory)
        print(
            f"{running.server.name}: {figures['rss_mb']:.1f} MB RSS after {answered} frames "
            f"({figures['frames_per_s']:.0f} frames/s)",
            flush=True,
        )
