"""`flawline worker`."""

from __future__ import annotations

import sys

import click

from flawline.bootstrap import work
from flawline.cli.loop import run
from flawline.cli.startup import settings_from, startup_explained


@click.command("worker", short_help="Inspect what others were asked, from a shared queue.")
@click.option("--queue", help="redis://..., the queue of `flawline serve --queue`.")
@click.option("--concurrency", type=int, help="Engines side by side in this process.  [default: 1]")
@click.option("--host", help="Address for the metrics.  [default: 127.0.0.1]")
@click.option(
    "--metrics-port", type=int, help="Port for the metrics; 0 takes a free one.  [default: 9090]"
)
@click.option(
    "--insecure", is_flag=True, help="Agree to leave loopback although no token is asked for."
)
def command(
    queue: str | None,
    concurrency: int | None,
    host: str | None,
    metrics_port: int | None,
    insecure: bool,
) -> None:
    """Inspect pictures from a shared queue until SIGTERM or Ctrl-C; then finish those in hand."""
    settings = settings_from(
        queue=queue,
        concurrency=concurrency,
        host=host,
        metrics_port=metrics_port,
        insecure=True if insecure else None,
    )
    with startup_explained():
        sys.exit(run(work(settings)))
