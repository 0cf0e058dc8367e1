"""The token that a command shows to a server."""

from __future__ import annotations

from pathlib import Path

from flawline.cli.fault import Fault
from flawline.client.access import usable_token


def token_in(file: Path) -> str:
    """What stands in that file. Raises Fault, which does not show it."""
    try:
        token = usable_token(file.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise Fault(f"The token file {file} cannot be read, or holds no token.") from error
    if token is None:
        raise Fault(f"The token file {file} is empty.")
    return token
