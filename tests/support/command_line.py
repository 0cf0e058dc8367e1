"""The command line in the test's own process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from flawline.cli import commands


def run(*arguments: str | Path) -> Result:
    """The command line in this process; an exception that no command expects fails the test."""
    result = CliRunner().invoke(
        commands, [str(argument) for argument in arguments], prog_name="flawline"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
