"""What the commands share: kinds of arguments."""

from __future__ import annotations

from pathlib import Path

import click

EXISTING_FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
OPEN_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
