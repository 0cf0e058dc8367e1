"""What a person can put right."""

from __future__ import annotations

import click


class Fault(click.ClickException):
    """Ends the command with exit code 2; the text says what is wrong and what to do."""

    exit_code = 2
