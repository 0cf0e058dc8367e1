"""`flawline serve` as a process of its own, on free ports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 30
_READY = re.compile(r"ready .*rest=http://127\.0\.0\.1:(\d+) grpc=127\.0\.0\.1:(\d+)")


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


class ServerProcess:
    """Started on creation; `log` holds what it wrote to standard error so far."""

    def __init__(self, artifact: Path, **settings: str) -> None:
        self.log = ""
        self._ports: tuple[int, int] | None = None
        self._told = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flawline", "serve", "--port", "0", "--grpc-port", "0"],
            env=flawline_environment(artifact=str(artifact), **settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._told.wait(STARTS_WITHIN_S) or self._ports is None:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log}")
        self.rest_port, self.grpc_port = self._ports
        self.url = f"http://127.0.0.1:{self.rest_port}"
        self.grpc_target = f"127.0.0.1:{self.grpc_port}"

    def _read(self) -> None:
        for line in self._process.stderr:
            self.log += line
            ready = _READY.search(line)
            if ready:
                self._ports = (int(ready[1]), int(ready[2]))
                self._told.set()
        self._told.set()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        """Tell it to stop, as an orchestrator would."""
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait until it has ended."""
        code = self._process.wait(STOPS_WITHIN_S)
        self._reader.join(STOPS_WITHIN_S)
        self._process.stderr.close()
        return code

    def kill(self) -> None:
        self._process.kill()
        self.exit_code()
