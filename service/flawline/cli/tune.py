"""`flawline tune`."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flawline.adapters.system_clock import SystemClock
from flawline.application.load import Load, LoadPlan
from flawline.application.tuning import CannotServeError, Tuner, TuningPlan
from flawline.bootstrap.cores import usable_cores
from flawline.cli.fault import Fault
from flawline.cli.finite import FiniteRange
from flawline.cli.load.connection import Asking, way_to
from flawline.cli.load.frames import Frames, draw_frames, read_frames, size_px
from flawline.cli.load.interrupt import INTERRUPTED, ctrl_c
from flawline.cli.loop import run
from flawline.cli.startup import settings_from
from flawline.cli.tuning.axes import as_set, axes
from flawline.cli.tuning.env_file import check_writable, write_settings
from flawline.cli.tuning.report import print_stages
from flawline.cli.tuning.trial_server import serving
from flawline.core.load import doubts
from flawline.core.tuning import Candidate, Choice, Objective, Step
from flawline.settings import PREFIX

_SECONDS = 170.0
_QUICK_SECONDS = 75.0
_MOST_WARM_UP_S = 0.5
_WARM_UP_SHARE = 0.25


@click.command("tune", short_help="Find the engine's settings for this machine.")
@click.argument(
    "paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--p99-ms",
    type=FiniteRange(0.1, 60_000),
    default=50.0,
    show_default=True,
    help="The 99th percentile of latency that is to be kept.",
)
@click.option(
    "--rate",
    type=FiniteRange(0.01, 10_000),
    help="Frames per second of each line; without it, as many as can be had.",
)
@click.option(
    "--lines",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="How many lines send at that rate.",
)
@click.option(
    "--size",
    metavar="WxH",
    callback=size_px,
    default="200x200",
    show_default=True,
    help="Of drawn frames.",
)
@click.option(
    "--artifact",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .onnx file.  [default: FLAWLINE_ARTIFACT, else the packaged one]",
)
@click.option(
    "--seconds",
    type=FiniteRange(10, 86_400),
    help=f"What it may take.  [default: {_SECONDS:g}; {_QUICK_SECONDS:g} with --quick]",
)
@click.option("--quick", is_flag=True, help="One round of each comparison: sooner, and less sure.")
@click.option(
    "--write",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Set what was found in this file of FLAWLINE_...=... lines; other lines stay.",
)
def command(
    paths: tuple[Path, ...],
    p99_ms: float,
    rate: float | None,
    lines: int,
    size: tuple[int, int],
    artifact: Path | None,
    seconds: float | None,
    quick: bool,
    write: Path | None,
) -> None:
    """Find how many threads and how large a batch suit this machine, its model and its pictures.

    Each candidate is served by a real `flawline serve` on loopback and asked over REST, in turns, so that a machine
    that changes meanwhile favours none. PATHs are picture files, or folders of them; without any, frames are drawn.
    What is in force now is kept unless something else is better in every round.

    Exit codes: 0 found; 1 nothing keeps the objective (the nearest is shown, and nothing written); 2 wrong usage, or
    the service does not start; 130 Ctrl-C, with what is known so far.
    """
    if write is not None:
        check_writable(write)
    settings = settings_from(artifact=artifact)
    frames = read_frames(paths) if paths else draw_frames(size)
    objective = Objective(p99_ms, None if rate is None else rate * lines)
    budget_s = seconds or (_QUICK_SECONDS if quick else _SECONDS)
    rounds, last_rounds = (1, 2) if quick else (2, 3)
    plan = TuningPlan(objective, axes(usable_cores()), budget_s, rounds, last_rounds)
    overrides = {} if artifact is None else {"artifact": str(artifact.resolve())}
    bench = _Bench(frames, objective, settings.deadline_ms, overrides)
    click.echo(f"About {budget_s:.0f} s, with {frames.source}.", err=True)
    choice = run(_tune(bench, plan, as_set(settings)))
    if bench.doubted:
        click.echo(
            f"In {bench.doubted} of {bench.steps} measurements the generator was late itself, by more than a "
            "tenth of p99: it shares the machine with what it measures, so latencies are rather too "
            "long than too short. Other work on the machine adds to that.",
            err=True,
        )
    if choice is None:
        sys.exit(INTERRUPTED)
    _conclude(choice, as_set(settings), write)


def _conclude(choice: Choice, baseline: Candidate, write: Path | None) -> None:
    """The choice in words, and into the file."""
    click.echo(_taken(choice, baseline))
    values = {
        f"{PREFIX}{name.upper()}": str(value)
        for name, value in choice.winner.measured.candidate.values
    }
    if not choice.met:
        click.echo("Nothing is written. " if write else "", nl=False)
        click.echo("Allow more time a frame, send fewer frames, or smaller ones.")
        sys.exit(1)
    if write is None:
        click.echo("\n".join(f"{name}={value}" for name, value in values.items()))
        click.echo("Set these where the service gets its environment; --write FILE does it.")
        return
    existed = write.exists()
    changes = write_settings(write, values)
    click.echo(f"{write} was {'changed' if existed else 'made'}:")
    click.echo("\n".join(f"  {change}" for change in changes))
    file = shlex.quote(str(write) if write.is_absolute() else f"./{write}")
    click.echo(f"Use it:  set -a; . {file}; set +a; flawline serve")
    click.echo("(systemd: EnvironmentFile=; containers: --env-file)")


def _taken(choice: Choice, baseline: Candidate) -> str:
    candidate = choice.winner.measured.candidate
    if not choice.met:
        return choice.because
    if candidate == baseline:
        return f"Kept as it is set now, {candidate}: {choice.because}"
    return f"Taken: {candidate}: {choice.because}"


async def _tune(bench: _Bench, plan: TuningPlan, baseline: Candidate) -> Choice | None:
    """The choice, None after Ctrl-C; tables of what was compared are printed. Raises Fault."""
    console = Console(stderr=True)
    columns = (MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("")

        def tell(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=max(of, done), description=what)
            if not console.is_terminal:
                click.echo(f"{done}/{of} {what}", err=True)

        tuner = Tuner(bench, plan, SystemClock(), tell)
        tuning = asyncio.create_task(tuner.run(baseline))
        choice = None
        with ctrl_c(tuning.cancel) as told:
            try:
                choice = await tuning
            except CannotServeError as error:
                raise Fault(f"`flawline serve` does not start as it is set: {error}") from error
            except asyncio.CancelledError:
                if not told.is_set():
                    raise
    print_stages(tuner.stages, plan.objective)
    for note in tuner.notes:
        click.echo(note)
    if choice is None:
        click.echo("Interrupted: nothing was chosen, and nothing written.")
    return choice


@dataclass
class _Bench:
    """Measures a candidate on a service of its own. doubted: steps that may show the generator."""

    frames: Frames
    objective: Objective
    deadline_ms: int
    overrides: dict[str, str]
    steps: int = 0
    doubted: int = 0

    async def measure(
        self, candidate: Candidate, callers: Sequence[int], step_s: float
    ) -> AsyncGenerator[Step, None]:
        """As TuningBench."""
        warm_up_s = min(_MOST_WARM_UP_S, _WARM_UP_SHARE * step_s)
        asking = Asking(line=None, deadline_ms=self.deadline_ms)
        pictures = self.frames.pictures
        async with (
            serving(candidate, self.overrides) as address,
            way_to(address, asking, pictures[0]) as way,
        ):
            for number in callers:
                plan = LoadPlan(
                    rate=self.objective.rate,
                    callers=max(1, number),
                    duration_s=step_s - warm_up_s,
                    warm_up_s=warm_up_s,
                    deadline_ms=self.deadline_ms,
                )
                yield await self._step(Load(way, pictures, plan, SystemClock()), number)

    async def _step(self, load: Load, callers: int) -> Step:
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        figures = await load.run()
        cpu_share = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
        self.steps += 1
        self.doubted += bool(doubts(figures, cpu_share))
        return Step(callers, figures.frames_per_s, figures.p99_ms, figures.misses)
