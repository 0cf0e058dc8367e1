"""`flawline version`."""

from __future__ import annotations

import json
import platform
from typing import Any

import click
import onnxruntime

from flawline.adapters.release_file import Release


@click.command("version", short_help="Which release this is, and what belongs to it.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON document.")
def command(as_json: bool) -> None:
    """Which release this is: the machine that it runs on, and its artifacts by sha256, which answers name."""
    release = Release.of_this_installation()
    if as_json:
        print(json.dumps({**release.document, "runs_on": _machine()}, indent=2))
        return
    print(
        "flawline",
        release.version,
        *(f"{key} {value}" for key, value in _machine().items()),
        sep="  ",
    )
    for artifact in release.artifacts:
        where = ("packaged",) if artifact.packaged else ()
        print(f"{artifact.name} {artifact.version}", artifact.sha256, *where, sep="  ")


def _machine() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }
