"""The peers that speak the Open Inference Protocol: MLServer, KServe's Python server, and Triton."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from serving.detector import MAX_BATCH
from serving.doors import MODEL_INFER, Door
from serving.environments import environment_of, python_of
from serving.processes import Processes, free_port, says_ok
from serving.servers import STARTS_WITHIN_S, Addresses, Server, Setting

HERE = Path(__file__).resolve().parent
MODEL = "inspection"
GRPC = Door("grpc", MODEL_INFER, "infer_picture", MODEL)
REST = Door("http", f"/v1/models/{MODEL}:predict", "instances")
"""Of KServe alone: by the newer protocol its REST side takes bytes for text."""
READY = f"/v2/models/{MODEL}/ready"
MLSERVER_WINDOW_S = 0.01


def servers(splits: Sequence[tuple[int, int]]) -> list[Server]:
    """Each in each of its configurations."""
    return [way(split) for way in (_mlserver, _kserve, _triton) for split in splits]


def _ready(processes: Processes, addresses: Addresses) -> Addresses:
    url = f"http://127.0.0.1:{addresses.http_port}{READY}"
    processes.wait_until(lambda: says_ok(url), STARTS_WITHIN_S)
    return addresses


def _mlserver(split: tuple[int, int]) -> Server:
    batches = split[0] == 1
    window = f"batches of up to {MAX_BATCH} in a window of {MLSERVER_WINDOW_S * 1000:g} ms"
    return Server(
        f"mlserver-{split[0]}x{split[1]}",
        f"gRPC, {window if batches else 'no batching'}, {split[0]} parallel worker(s) of {split[1]} thread(s)",
        partial(_start_mlserver, split=split, batches=batches),
        {"grpc": GRPC},
        peer=True,
        environment="mlserver",
        # Its workers fail on newer uvloop.
        requirements=("mlserver==1.7.1", "uvloop==0.21.0"),
    )


def _start_mlserver(
    setting: Setting, processes: Processes, *, split: tuple[int, int], batches: bool
) -> Addresses:
    addresses = Addresses(free_port(), free_port())
    server = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": addresses.http_port,
        "grpc_port": addresses.grpc_port,
        "metrics_port": free_port(),
        "parallel_workers": split[0],
    }
    model: dict[str, object] = {
        "name": MODEL,
        "implementation": "serving.peers.mlserver_model.Inspection",
    }
    if batches:
        model |= {"max_batch_size": MAX_BATCH, "max_batch_time": MLSERVER_WINDOW_S}
    folder = processes.folder / "models"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    program = python_of(setting, "mlserver").with_name("mlserver")
    processes.start([str(program), "start", str(folder)], environment_of(setting, split))
    return _ready(processes, addresses)


def _kserve(split: tuple[int, int]) -> Server:
    return Server(
        f"kserve-{split[0]}x{split[1]}",
        f"no batching (it has none), {split[0]} process(es) of {split[1]} thread(s)",
        partial(_start_kserve, split=split),
        # Its processes share the HTTP port alone.
        {"grpc": GRPC, "rest": REST} if split[0] == 1 else {"rest": REST},
        peer=True,
        environment="kserve",
        requirements=("kserve==0.21.0",),
    )


def _start_kserve(setting: Setting, processes: Processes, *, split: tuple[int, int]) -> Addresses:
    addresses = Addresses(free_port(), free_port())
    command = [str(python_of(setting, "kserve")), "-m", "serving.peers.kserve_server"]
    command += ["--http_port", str(addresses.http_port), "--grpc_port", str(addresses.grpc_port)]
    command += ["--enable_grpc", "true" if split[0] == 1 else "false"]
    processes.start(command, environment_of(setting, split))
    return _ready(processes, addresses)


def _triton(split: tuple[int, int]) -> Server:
    return Server(
        f"triton-{split[0]}x{split[1]}",
        f"Python backend, dynamic batches of up to {MAX_BATCH} (no queue delay, its default), "
        f"{split[0]} instance(s) of {split[1]} thread(s)",
        partial(_start_triton, split=split),
        {"grpc": Door("grpc", MODEL_INFER, "infer_picture_row", MODEL)},
        peer=True,
        environment="triton",
        requirements=("nvidia-pytriton==0.7.0", "numpy<2"),
    )


def _start_triton(setting: Setting, processes: Processes, *, split: tuple[int, int]) -> Addresses:
    addresses = Addresses(free_port(), free_port())
    repository = processes.folder / "models"
    (repository / MODEL / "1").mkdir(parents=True)
    (repository / MODEL / "config.pbtxt").write_text(_TRITON_CONFIG % (MODEL, MAX_BATCH, split[0]))
    (repository / MODEL / "1" / "model.py").symlink_to(HERE / "triton_model.py")
    python = python_of(setting, "triton")
    (server,) = python.parents[1].glob("lib/python*/site-packages/pytriton/tritonserver")
    libraries, backends = _triton_backend(python, server, processes.folder)
    command = [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--http-address=127.0.0.1",
        f"--http-port={addresses.http_port}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={addresses.grpc_port}",
        "--allow-metrics=false",
    ]
    processes.start(command, {**environment_of(setting, split), **libraries})
    return _ready(processes, addresses)


def _triton_backend(python: Path, server: Path, folder: Path) -> tuple[Mapping[str, str], Path]:
    """What its environment must say, and a folder of backends whose stub fits that interpreter."""
    code = "import sysconfig as s; print(s.get_python_version(), s.get_config_var('LIBDIR'))"
    version, library = subprocess.run(  # noqa: S603
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    for file in (*(server / "backends" / "python").iterdir(), stub):
        (backend / file.name).symlink_to(file)
    return {
        "LD_LIBRARY_PATH": f"{library}:{server.parent.parent / 'nvidia_pytriton.libs'}",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(python.parents[1]),
    }, backend.parent


_TRITON_CONFIG = """
name: "%s"
backend: "python"
max_batch_size: %d
input [{ name: "pictures" data_type: TYPE_STRING dims: [1] }]
output [{ name: "answer" data_type: TYPE_STRING dims: [1] }]
instance_group [{ kind: KIND_CPU count: %d }]
dynamic_batching { }
"""
