"""Which peers there are, their versions, and how each is started.

Every one has the same threads in all as Flawline. Where a peer can split them over processes it is measured both ways,
one process with all threads and one process a thread; whoever reads the table takes its better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from serving.detector import ARTIFACT_VARIABLE, THREADS_VARIABLE
from serving.doors import Door
from serving.environments import python_of
from serving.processes import Processes, free_port, says_ok
from serving.servers import PYTHONPATH, STARTS_WITHIN_S, Addresses, Server, Setting

HERE = Path(__file__).resolve().parent


def peer_servers(setting: Setting) -> list[Server]:
    """Every peer in each of its configurations."""
    splits = [(1, setting.threads)]
    if setting.threads > 1:
        splits.append((setting.threads, 1))
    return [server for processes, threads in splits for server in (_fastapi(processes, threads),)]


def _environment(setting: Setting, threads: int) -> dict[str, str]:
    return {
        "PYTHONPATH": PYTHONPATH,
        ARTIFACT_VARIABLE: str(setting.artifact),
        THREADS_VARIABLE: str(threads),
    }


def _start(
    setting: Setting,
    processes: Processes,
    *,
    name: str,
    threads: int,
    words: Sequence[str],
    ready_path: str,
) -> Addresses:
    """A Python program of a peer's environment with one HTTP port; {port} in its words becomes that port."""
    port = free_port()
    command = [str(python_of(setting, name)), *(word.format(port=port) for word in words)]
    processes.start(command, _environment(setting, threads))
    processes.wait_until(lambda: says_ok(f"http://127.0.0.1:{port}{ready_path}"), STARTS_WITHIN_S)
    return Addresses(http_port=port)


def _fastapi(processes: int, threads: int) -> Server:
    words = ["-m", "uvicorn", "serving.peers.fastapi_server:app", "--port", "{port}"]
    words += ["--workers", str(processes), "--no-access-log"]
    return Server(
        f"fastapi-{processes}x{threads}",
        f"FastAPI on uvicorn (uvloop, httptools), {processes} process(es), ONNX Runtime with {threads} thread(s) "
        "called in the thread pool, no batching",
        partial(_start, name="fastapi", threads=threads, words=words, ready_path="/ready"),
        {"http": Door("http", "/inspect", "picture")},
        peer=True,
        environment="fastapi",
        requirements=("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
    )
