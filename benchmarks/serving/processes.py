"""Servers as processes: started, frozen while others are measured, and what they cost (Linux, from /proc)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
STOPS_WITHIN_S = 15.0
_PR_SET_PDEATHSIG = 1


class DidNotStart(Exception):  # noqa: N818 - it says what happened
    """A server that ended, or was not ready in time; the message holds the end of its log."""


@dataclass(frozen=True)
class _Stat:
    pid: int
    parent: int
    session: int
    cpu_s: float
    """With that of children which have ended and were waited for."""


class Processes:
    """The processes of one server, each leading a session, with one log for all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log_path = folder / "log"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Not waited for. The environment is added to this process's, without settings of Flawline."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLAWLINE_")}
        with self.log_path.open("ab") as log:
            self._started.append(
                subprocess.Popen(  # noqa: S603 - our own programs
                    [str(word) for word in command],
                    env=inherited | dict(environment),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_parent,  # noqa: PLW1509 - we have no other thread
                )
            )

    def wait_until(self, ready: Callable[[], bool], limit_s: float, every_s: float = 0.02) -> None:
        """Raises DidNotStart when a process ends before, or `limit_s` is over."""
        ends_s = time.monotonic() + limit_s
        while not ready():
            ended = [p for p in self._started if p.poll() is not None]
            if ended or time.monotonic() > ends_s:
                why = (
                    f"ended with {ended[0].returncode}" if ended else f"not ready in {limit_s:g} s"
                )
                raise DidNotStart(f"{why}; the end of its log: {self.log_end()}")
            time.sleep(every_s)

    @property
    def roots(self) -> list[int]:
        """The processes that were started; their trees are the server."""
        return [process.pid for process in self._started]

    @property
    def alive(self) -> bool:
        """Whether none of those that were started has ended."""
        return all(process.poll() is None for process in self._started)

    def log_end(self, characters: int = 600) -> str:
        """The last words of the log."""
        text = self.log_path.read_text("utf-8", errors="replace") if self._started else ""
        return text[-characters:].strip() or "(empty)"

    def freeze(self) -> None:
        """It computes nothing until thawed, so that it takes nothing from who is measured."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was; children first, so that a parent finds them well when it looks."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """The last started first; kills what does not end."""
        self.thaw()
        for process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        ends_s = time.monotonic() + STOPS_WITHIN_S
        for process in reversed(self._started):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, ends_s - time.monotonic()))
        self._signal(signal.SIGKILL)
        for process in self._started:
            process.wait()
        self._started.clear()

    def _signal(self, number: signal.Signals) -> None:
        pids = tree(self.roots)
        for pid in pids if number == signal.SIGSTOP else reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _end_with_parent() -> None:
    """In a child: nobody is left behind when the bench itself is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def tree(roots: Iterable[int]) -> list[int]:
    """The processes that descend from these, or belong to the sessions that they lead."""
    return [stat.pid for stat in _tree(roots)]


def cpu_s(roots: Iterable[int]) -> float:
    """What the trees have computed so far, user and system, in seconds."""
    return sum(stat.cpu_s for stat in _tree(roots))


def memory_mb(roots: Iterable[int]) -> tuple[float, float]:
    """(RSS, PSS) of the trees in MB (1e6 bytes): RSS counts shared pages in every process, PSS once."""
    rss_kib = pss_kib = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
                if line.startswith("Rss:"):
                    rss_kib += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss_kib += int(line.split()[1])
    return rss_kib * 1.024e-3, pss_kib * 1.024e-3


def machine_cpu_s() -> float:
    """What all cores together have computed since the machine started, in seconds."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, fields)
    return (user + nice + system + irq + softirq) / TICKS_A_SECOND


def _tree(roots: Iterable[int]) -> list[_Stat]:
    wanted = set(roots)
    sessions = set(wanted)
    stats = _all_stats()
    grown = True
    while grown:
        more = {s.pid for s in stats if s.parent in wanted or s.session in sessions} - wanted
        grown = bool(more)
        wanted |= more
    return [stat for stat in stats if stat.pid in wanted]


def _all_stats() -> list[_Stat]:
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - called while others are measured: the cheap way
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stream:  # noqa: PTH123 - likewise
                    text = stream.read()
            except OSError:
                continue  # it has ended meanwhile
            fields = text[text.rindex(b")") + 2 :].split()
            if fields[0] in (b"Z", b"X"):
                continue
            ticks = sum(int(field) for field in fields[11:15])
            found.append(_Stat(int(entry), int(fields[1]), int(fields[3]), ticks / TICKS_A_SECOND))
    return found


def free_port() -> int:
    """A TCP port of loopback that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def says_ok(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
            return bool(answer.status < 300)
    except (OSError, ValueError):
        return False


def connects(port: int) -> bool:
    """Whether somebody listens on that port of loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
