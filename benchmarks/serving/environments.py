"""Environments of the peers: one each, under the cache folder, never the project's own."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

from serving.detector import ARTIFACT_VARIABLE, THREADS_VARIABLE
from serving.servers import PYTHONPATH, Server, Setting

# The same versions for all, and the very ones that Flawline runs with here, where a peer's own needs allow it.
SHARED = ("onnxruntime", "simplejpeg", "pillow", "numpy")
INSTALLS_WITHIN_S = 900
_STAMP = "bench.json"


class CannotInstall(Exception):  # noqa: N818 - it says what happened
    """pip refused; the message holds the end of what it said."""


def python_of(setting: Setting, name: str) -> Path:
    """The interpreter of a peer's environment."""
    return setting.cache / "environments" / name / "bin" / "python"


def environment_of(setting: Setting, split: tuple[int, int]) -> dict[str, str]:
    """What tells our handlers in a peer what to serve; split: how many processes, each of how many threads."""
    processes, threads = split
    return {
        "PYTHONPATH": PYTHONPATH,
        "BENCH_PATH": PYTHONPATH,
        ARTIFACT_VARIABLE: str(setting.artifact),
        THREADS_VARIABLE: str(threads),
        "BENCH_PROCESSES": str(processes),
    }


def is_installed(setting: Setting, server: Server) -> bool:
    """Whether its environment holds what it asks for, made by an earlier run."""
    stamp = python_of(setting, server.environment).parents[1] / _STAMP
    return stamp.exists() and json.loads(stamp.read_text()) == _wanted(server)


def install(setting: Setting, server: Server) -> None:
    """Make its environment, if it is not there. Raises CannotInstall."""
    if not server.requirements or is_installed(setting, server):
        return
    python = python_of(setting, server.environment)
    print(f"installing {server.environment} ...", flush=True)
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(python.parents[1])])
    wanted = _wanted(server)
    _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted])
    (python.parents[1] / _STAMP).write_text(json.dumps(wanted))


def versions(setting: Setting, server: Server) -> dict[str, str]:
    """Of the packages that matter in a peer's environment."""
    names = [_name(requirement) for requirement in _wanted(server)]
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    found: dict[str, str] = json.loads(
        _run([str(python_of(setting, server.environment)), "-c", code])
    )
    return found


def _wanted(server: Server) -> list[str]:
    own = {_name(requirement) for requirement in server.requirements}
    shared = [f"{n}=={importlib.metadata.version(n)}" for n in SHARED if n not in own]
    return sorted([*server.requirements, *shared])


def _name(requirement: str) -> str:
    return re.split(r"[=<>!\[]", requirement, maxsplit=1)[0]


def _run(command: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - pip, and the interpreter it installed for
        command, capture_output=True, text=True, check=False, timeout=INSTALLS_WITHIN_S
    )
    if done.returncode:
        raise CannotInstall(f"{' '.join(command[1:4])}: {done.stderr.strip()[-600:]}")
    return done.stdout
