"""`flawline bench`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from flawline.adapters.system_clock import SystemClock
from flawline.application.load import Load, LoadPlan
from flawline.bootstrap.descriptors import allow_descriptors
from flawline.cli.fault import Fault
from flawline.cli.finite import FiniteRange
from flawline.cli.load.address import Address
from flawline.cli.load.connection import GRACE_S, Asking, way_to
from flawline.cli.load.frames import Frames, draw_frames, read_frames, size_px
from flawline.cli.load.interrupt import INTERRUPTED, ctrl_c
from flawline.cli.load.plot import check_plot_path, draw_latencies
from flawline.cli.load.progress import shown
from flawline.cli.load.report import LoadResult, LoadTest, json_document, text_lines
from flawline.cli.loop import run
from flawline.cli.startup import caller_settings
from flawline.core.load import LoadObjectives, LoadRecord, doubts

_CALLERS = 8
_MOST_CONNECTIONS = 16_384
_OTHER_DESCRIPTORS = 256


def _text(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """An empty one, of a variable that is not set, is none.

    Bytes of a command line that are no UTF-8 come as surrogates, which no protocol can send.
    """
    if value is not None and not value.isprintable():
        raise click.BadParameter("it is not all printable UTF-8 text.", ctx, param)
    return value or None


@click.command("bench", short_help="Send pictures to a running server, and measure its answers.")
@click.argument("url", metavar="URL")
@click.argument(
    "paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path)
)
@click.option("--rate", type=FiniteRange(0.01, 100_000), help="Frames per second: open loop.")
@click.option(
    "--clients",
    type=click.IntRange(1, 1024),
    help="Callers who wait for each answer: closed loop; with --rate and --stream, cameras.  "
    f"[default: {_CALLERS}; 1]",
)
@click.option("--stream", is_flag=True, help="With grpc://: each caller holds an InspectStream.")
@click.option(
    "--duration",
    type=FiniteRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds.",
)
@click.option(
    "--warm-up",
    type=FiniteRange(0, 600),
    default=1.0,
    show_default=True,
    help="Seconds before that, which do not count.",
)
@click.option(
    "--deadline-ms",
    type=click.IntRange(1, 3_600_000),
    default=1000,
    show_default=True,
    help="Asked of the service for each frame.",
)
@click.option(
    "--line", callback=_text, help="Production line that the frames are said to come from."
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
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the bearer token.  [default: FLAWLINE_TOKEN_FILE]",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificates to trust.  [default: FLAWLINE_TLS_CERT_FILE, else the system's]",
)
@click.option("--max-p99-ms", type=FiniteRange(0), help="Exit with 1 when p99 is longer.")
@click.option(
    "--max-misses",
    type=click.IntRange(0),
    help="Exit with 1 when more frames have no verdict in time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON document.")
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the latency of each frame over time.",
)
def command(
    url: str,
    paths: tuple[Path, ...],
    rate: float | None,
    clients: int | None,
    stream: bool,
    duration: float,
    warm_up: float,
    deadline_ms: int,
    line: str | None,
    size: tuple[int, int],
    token_file: Path | None,
    ca_file: Path | None,
    max_p99_ms: float | None,
    max_misses: int | None,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Send pictures to the server at URL and measure how it answers.

    URL is http://HOST:PORT for REST or grpc://HOST:PORT for gRPC (https:// and grpcs:// with TLS). PATHs are picture
    files, or folders of them; without any, frames are drawn. With --rate, latency counts from when a frame was due,
    so that a slow answer is not hidden by sending the next frame later.

    Exit codes: 0 done; 1 an objective was not kept; 2 wrong usage, or nobody is there; 130 Ctrl-C, with the figures
    so far. What is sent is inspected like any frame, and counts in the server's metrics.
    """
    if plot is not None:
        check_plot_path(plot)
    settings = caller_settings()
    address = Address.of(url, token_file or settings.token_file, ca_file or settings.tls_cert_file)
    callers = _callers(address, stream, rate, clients)
    frames = read_frames(paths) if paths else draw_frames(size)
    test = LoadTest(
        target=str(address),
        protocol="grpc-stream" if stream else "grpc" if address.over_grpc else "rest",
        rate=rate,
        callers=callers,
        deadline_ms=deadline_ms,
        line=line,
        warm_up_s=warm_up,
        pictures=len(frames.pictures),
        source=frames.source,
    )
    plan = LoadPlan(rate, callers, duration, warm_up, deadline_ms)
    asking = Asking(line, deadline_ms, stream, callers)
    objectives = LoadObjectives(max_p99_ms, max_misses)
    result, record = run(_measure(address, asking, frames, plan, objectives))
    click.echo(json_document(test, result) if as_json else "\n".join(text_lines(test, result)))
    if plot is not None:
        draw_latencies(plot, text_lines(test, result)[0], record.due_s, record.latencies_s)
        click.echo(f"Drawn: {plot}", err=True)
    for sentence in (*result.doubts, *result.unmet):
        click.echo(sentence, err=True)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(1 if result.unmet else 0)


def _callers(address: Address, stream: bool, rate: float | None, clients: int | None) -> int:
    """How many there are. Raises Fault for options that do not go together."""
    if stream and not address.over_grpc:
        raise Fault(f"--stream is gRPC: write grpc://{address.host}:8081 in place of {address}.")
    if rate is not None and clients is not None and not stream:
        raise Fault(
            "--rate sends at a cadence whatever comes back, --clients waits for answers: choose one. "
            "Both go together with --stream alone, where frames are dealt to so many cameras."
        )
    return clients or (_CALLERS if rate is None else 1)


async def _measure(
    address: Address, asking: Asking, frames: Frames, plan: LoadPlan, objectives: LoadObjectives
) -> tuple[LoadResult, LoadRecord]:
    allow_descriptors(_most_connections(plan) + _OTHER_DESCRIPTORS)
    async with way_to(address, asking, frames.pictures[0]) as way:
        load = Load(way, frames.pictures, plan, SystemClock())
        with ctrl_c(load.stop) as told:
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            async with shown(plan.warm_up_s + plan.duration_s, lambda: _state(load, plan)):
                figures = await load.run()
            cpu_share = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
    result = LoadResult(
        figures=figures,
        cpu_share=cpu_share,
        doubts=doubts(figures, cpu_share),
        unmet=objectives.unmet(figures),
        interrupted=told.is_set(),
    )
    return result, load.record


def _most_connections(plan: LoadPlan) -> int:
    """Over REST each unanswered frame has one."""
    if plan.rate is None:
        return plan.callers
    return min(_MOST_CONNECTIONS, round(plan.rate * (plan.deadline_ms / 1000 + GRACE_S)))


def _state(load: Load, plan: LoadPlan) -> tuple[float, str]:
    """Seconds done, and the figures so far in a few words."""
    measured_s = time.monotonic() - load.counts_from_s
    if measured_s <= 0:
        return plan.warm_up_s + measured_s, "warming up"
    figures = load.record.figures(measured_s)
    p99 = "-" if figures.p99_ms is None else f"{figures.p99_ms:.1f} ms"
    words = f"{figures.frames_per_s:.1f} frames/s, p99 {p99}, {figures.misses} without verdict"
    return plan.warm_up_s + measured_s, words
