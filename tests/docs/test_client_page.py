"""The programs of docs/client.md, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess, flawline_environment, run_flawline

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    running = ServerProcess(artifact)
    yield running
    running.terminate()
    assert running.exit_code() == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    command = re.search(r"`flawline (sample frames [^`]*)`", PAGE)[1].split()
    done = run_flawline(command[0], folder / command[1], *command[2:])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, r"^(Not)?OK\n"),
        (1, r"^(steel_\d+ (Not)?OK\n){12}$"),
        (2, r"^NotOK\n([\w-]+ [\d.]+ from [\d.]+ on\n)+$"),
        (3, r"^(\d+ (Not)?OK\n){12}Figures\(sent=12, answered=12, undefined=0, refused=0, "),
        (4, r"^4712 (Not)?OK missed: 0\n$"),
    ],
)
def test_a_program_says_what_it_should(
    server: ServerProcess, folder: Path, number: int, said: str
) -> None:
    program = PROGRAMS[number].replace("localhost:8080", f"127.0.0.1:{server.rest_port}")
    program = program.replace("localhost:8081", server.grpc_target)
    program = program.replace("deadline_s=10.0", "deadline_s=60.0")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=flawline_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(said, done.stdout), done.stdout
    assert done.stderr == ""


def test_every_program_is_run() -> None:
    assert len(PROGRAMS) == 5
