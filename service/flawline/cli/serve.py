"""`flawline serve`."""

from __future__ import annotations

import sys

import click

from flawline.bootstrap import serve
from flawline.cli.loop import run
from flawline.cli.startup import settings_from, startup_explained


@click.command("serve", short_help="Serve REST and gRPC.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="HTTP port; 0 takes a free one.  [default: 8080]")
@click.option("--grpc-port", type=int, help="gRPC port; 0 takes a free one.  [default: 8081]")
@click.option("--queue", help="redis://... shares the work with `flawline worker`.")
@click.option(
    "--insecure", is_flag=True, help="Agree to leave loopback although no token is asked for."
)
def command(
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    queue: str | None,
    insecure: bool,
) -> None:
    """Serve REST and gRPC until SIGTERM or Ctrl-C, then finish what was accepted."""
    settings = settings_from(
        host=host,
        port=port,
        grpc_port=grpc_port,
        queue=queue,
        insecure=True if insecure else None,
    )
    with startup_explained():
        sys.exit(run(serve(settings)))
