"""The command line. Each command is a module of its own, loaded when it is called.

Exit codes: 0 done; 1 some picture could not be inspected; 2 wrong usage, settings, artifact or port;
130 Ctrl-C.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys

import click

import flawline

_COMMANDS = (
    *("bench", "check", "dead-letters", "demo", "health", "inspect", "models", "sample", "serve"),
    *("simulate", "tune", "version", "worker"),
)
_UNEXPECTED_EXIT_CODE = 2
_INTERRUPTED_EXIT_CODE = 130
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _LazyGroup(click.Group):
    """Imports a command when it is asked for: `sample` need not wait for the engine's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        try:
            command: click.Command = importlib.import_module(f"flawline.cli.{module}").command
        except KeyboardInterrupt:
            # click would end with 1: that some picture could not be inspected
            click.echo("Interrupted.", err=True)
            sys.exit(_INTERRUPTED_EXIT_CODE)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(flawline.__version__, prog_name="flawline")
@click.option("--traceback", is_flag=True, help="Show where an unexpected error came from.")
def commands(traceback: bool) -> None:
    """Inspect pictures of metal surfaces: a verdict for each, and where its flaws are.

    Settings are read from the environment, FLAWLINE_...; `flawline check` shows whether they hold.
    """
    del traceback  # main looks for it: it must count for errors before any parsing too


def main() -> None:
    """Run the command line and exit."""
    # gRPC's core writes to standard error by itself: a line that is no JSON for whoever fails at TLS. It
    # reads this when it is loaded, which the commands do.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # A file name may be no text; what is said of it must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        commands(prog_name="flawline")
    except Exception as error:
        if "--traceback" in sys.argv:
            raise
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            click.echo(f"Error: The output cannot be written: {error.strerror}.", err=True)
            sys.exit(_UNEXPECTED_EXIT_CODE)
        click.echo(
            f"Error: flawline failed unexpectedly ({type(error).__name__}: {error}). That is a "
            "fault of ours; `flawline --traceback ...` shows where it came from.",
            err=True,
        )
        sys.exit(_UNEXPECTED_EXIT_CODE)
