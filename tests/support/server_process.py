"""`flawline serve` and `flawline worker` as processes of their own, on free ports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 30


def flawline_environment(**settings: str) -> dict[str, str]:
    """This process's environment with these FLAWLINE_ settings and no others."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLAWLINE_")}
    environment |= {f"FLAWLINE_{name.upper()}": value for name, value in settings.items()}
    # The child must find the packages where this process found them, installed or not.
    return environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run_flawline(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "flawline", *map(str, arguments)],
        env=flawline_environment(**settings),
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )


class FlawlineProcess:
    """Started on creation; `log` holds what it wrote to standard error so far."""

    def __init__(self, command: Sequence[str], ready: str, **settings: str) -> None:
        self.log = ""
        self._ready_line = re.compile(ready)
        self._said: re.Match[str] | None = None
        self._told = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, *command],
            env=flawline_environment(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ready(self) -> re.Match[str]:
        """Wait until it has said so."""
        if not self._told.wait(STARTS_WITHIN_S) or self._said is None:
            self.kill()
            raise AssertionError(f"the process did not start:\n{self.log}")
        return self._said

    def _read(self) -> None:
        for line in self._process.stderr:
            self.log += line
            if self._said is None and (said := self._ready_line.search(line)):
                self._said = said
                self._told.set()
        self._told.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Tell it to stop, as an orchestrator would."""
        self.signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait until it has ended."""
        code = self._process.wait(STOPS_WITHIN_S)
        self._reader.join(STOPS_WITHIN_S)
        self._process.stderr.close()
        return code

    def kill(self) -> None:
        self._process.kill()
        self.exit_code()


class ServerProcess(FlawlineProcess):
    """`flawline serve`, ready; engine: as of WorkerProcess."""

    def __init__(self, artifact: Path, *, engine: str | None = None, **settings: str) -> None:
        super().__init__(
            [*_program(engine), "serve", "--port", "0", "--grpc-port", "0"],
            r'"ready".*"rest": "(https?)://127\.0\.0\.1:(\d+)", "grpc": "127\.0\.0\.1:(\d+)"',
            artifact=str(artifact),
            **settings,
        )
        said = self.ready()
        self.rest_port, self.grpc_port = int(said[2]), int(said[3])
        self.url = f"{said[1]}://127.0.0.1:{self.rest_port}"
        self.rest_target = f"127.0.0.1:{self.rest_port}"
        self.grpc_target = f"127.0.0.1:{self.grpc_port}"


class WorkerProcess(FlawlineProcess):
    """`flawline worker` on a shared queue; call `ready` before relying on it.

    engine: words for engine_stand_in.py, None for the real engine alone.
    """

    def __init__(self, artifact: Path, *, engine: str | None = None, **settings: str) -> None:
        super().__init__(
            [*_program(engine), "worker", "--metrics-port", "0"],
            r'"ready".*"worker": "(\S+)".*"metrics": "(http://127\.0\.0\.1:(\d+))"',
            artifact=str(artifact),
            **{"engine_threads": "1", "decode_threads": "1", **settings},
        )

    @property
    def metrics_url(self) -> str:
        return f"{self.ready()[2]}/metrics"

    @property
    def metrics_port(self) -> str:
        return self.ready()[3]

    @property
    def ready_url(self) -> str:
        return f"{self.ready()[2]}/healthz/ready"


def _program(engine: str | None) -> list[str]:
    script = str(Path(__file__).with_name("engine_stand_in.py"))
    return ["-m", "flawline"] if engine is None else [script, engine]
