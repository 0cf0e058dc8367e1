"""Which peers there are, their versions, and how each is configured.

Every one has as many threads in all as Flawline. Each is measured as one process with all threads and as one process a
thread; where its batches wait in a window, the latter have the shortest there is, or no batches. Flawline is held
against the better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from serving.detector import MAX_BATCH
from serving.doors import Door
from serving.environments import environment_of, python_of
from serving.peers import open_inference
from serving.processes import Processes, free_port, says_ok
from serving.servers import STARTS_WITHIN_S, Addresses, Server, Setting

WINDOW_MS = 10
"""For peers that batch by waiting: the default of mosec, and what the examples of others show."""


def peer_servers(setting: Setting) -> list[Server]:
    """Every peer in each of its configurations."""
    splits = [(1, setting.threads)]
    if setting.threads > 1:
        splits.append((setting.threads, 1))
    ways = (_fastapi, _litserve, _bentoml, _mosec)
    return [way(*split) for way in ways for split in splits] + open_inference.servers(splits)


def _server(
    name: str,
    about: str,
    split: tuple[int, int],
    requirements: Sequence[str],
    words: Sequence[str],
    *,
    ready_path: str = "/ready",
    body: str = "picture",
    more: Mapping[str, str] | None = None,
) -> Server:
    processes, threads = split
    return Server(
        f"{name}-{processes}x{threads}",
        f"{about}, {processes} process(es) of {threads} thread(s)",
        partial(_start, name=name, split=split, words=words, ready=ready_path, more=more or {}),
        {"http": Door("http", "/inspect", body)},
        peer=True,
        environment=name,
        requirements=tuple(requirements),
    )


def _start(
    setting: Setting,
    processes: Processes,
    *,
    name: str,
    split: tuple[int, int],
    words: Sequence[str],
    ready: str,
    more: Mapping[str, str],
) -> Addresses:
    """A Python program of a peer's environment; {port} in its words becomes its HTTP port."""
    port = free_port()
    command = [str(python_of(setting, name)), *(word.format(port=port) for word in words)]
    processes.start(command, {**environment_of(setting, split), **more})
    processes.wait_until(lambda: says_ok(f"http://127.0.0.1:{port}{ready}"), STARTS_WITHIN_S)
    return Addresses(http_port=port)


def _fastapi(processes: int, threads: int) -> Server:
    words = ["-m", "uvicorn", "serving.peers.fastapi_server:app", "--port", "{port}"]
    words += ["--workers", str(processes), "--no-access-log"]
    return _server(
        "fastapi",
        "a plain handler on uvicorn (uvloop, httptools), ONNX Runtime in the thread pool, no batching",
        (processes, threads),
        ["fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"],
        words,
    )


def _litserve(processes: int, threads: int) -> Server:
    return _server(
        "litserve",
        f"batches of up to {MAX_BATCH} of what is there (batch_timeout 0, its default), picture as the body",
        (processes, threads),
        ["litserve==0.2.19", "uvloop==0.23.0", "httptools==0.9.0"],
        ["-m", "serving.peers.litserve_server", "{port}"],
        ready_path="/health",
    )


def _bentoml(processes: int, threads: int) -> Server:
    words = ["-m", "bentoml", "serve", "serving.peers.bentoml_service:Inspection"]
    words += ["--host", "127.0.0.1", "--port", "{port}"]
    return _server(
        "bentoml",
        f"adaptive batches of up to {MAX_BATCH}, picture in a form",
        (processes, threads),
        ["bentoml==1.4.39"],
        words,
        ready_path="/readyz",
        body="form",
        more={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "bentoml"},
    )


def _mosec(processes: int, threads: int) -> Server:
    window_ms = WINDOW_MS if processes == 1 else 1  # it takes 0 for its default, which is 10
    return _server(
        "mosec",
        f"batches of up to {MAX_BATCH} in a window of {window_ms} ms, picture as the body",
        (processes, threads),
        ["mosec==0.9.8"],
        ["-m", "serving.peers.mosec_server", "--address", "127.0.0.1", "--port", "{port}"],
        ready_path="/",
        more={"BENCH_WINDOW_MS": str(window_ms)},
    )
