"""Asks a real Triton and a `flawline serve` the same, by Triton's own client, and compares the shapes of the answers.

No figure comes out of this, but whether clients of Triton find here what they find there. Triton is the
one inside the package `nvidia-pytriton` (Linux, x86-64), which wants an older numpy than we do:

    make .venv/tritonclient/ready
    python3 -m venv triton && triton/bin/pip install nvidia-pytriton 'numpy<2'
    .venv/bin/python benchmarks/beside_triton.py --triton triton

Triton serves a model with the same tensors whose answers are fixed; so values differ, and names, datatypes
and the members of every document are compared. What only one of the two has is listed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from pictures import numbered  # noqa: E402
from redis_process import free_port  # noqa: E402
from server_process import ServerProcess  # noqa: E402
from tiny_artifact import tiny_manifest, write_tiny_artifact  # noqa: E402
from triton_client import PYTHON  # noqa: E402

STARTS_WITHIN_S = 120
MODELS = ("tiny", "other")
CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 0
input [{{ name: "pictures" data_type: TYPE_STRING dims: [-1] }}]
output [
  {{ name: "boxes" data_type: TYPE_FP32 dims: [-1, 4] }},
  {{ name: "scores" data_type: TYPE_FP32 dims: [-1] }},
  {{ name: "image_index" data_type: TYPE_INT32 dims: [-1] }},
  {{ name: "classes" data_type: TYPE_STRING dims: [-1] }},
  {{ name: "verdict" data_type: TYPE_STRING dims: [-1] }}
]
instance_group [{{ kind: KIND_CPU }}]
"""
MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        count = len(pb_utils.get_input_tensor_by_name(request, "pictures").as_numpy())
        outputs = {
            "boxes": np.tile(np.array([1, 2, 3, 4], np.float32), (count, 1)),
            "scores": np.full(count, 0.5, np.float32),
            "image_index": np.arange(count, dtype=np.int32),
            "classes": np.array([b"scratch"] * count, np.object_),
            "verdict": np.array([b"NotOK"] * count, np.object_),
        }
        wanted = request.requested_output_names()
        tensors = [pb_utils.Tensor(name, outputs[name]) for name in outputs if name in wanted]
        return pb_utils.InferenceResponse(output_tensors=tensors)
"""


@contextlib.contextmanager
def triton(environment: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """A Triton with both models in its repository, the first one loaded; its addresses."""
    for name in MODELS:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name))
        (folder / name / "1" / "model.py").write_text(MODEL)
    (server,) = environment.glob("lib/python*/site-packages/pytriton/tritonserver")
    python = environment / "bin" / "python"
    version, library = subprocess.run(  # noqa: S603
        [
            python,
            "-c",
            "import sysconfig as s; print(s.get_python_version(), s.get_config_var('LIBDIR'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    # The stub must fit the interpreter whose packages it uses, and lies beside the backend.
    backends = folder.parent / "backends" / "python"
    backends.mkdir(parents=True)
    for file in (
        *(server / "backends" / "python").iterdir(),
        server / "python_backend_stubs" / version / "triton_python_backend_stub",
    ):
        (backends / file.name).symlink_to(file)
    http_port, grpc_port = free_port(), free_port()
    http, grpc = f"127.0.0.1:{http_port}", f"127.0.0.1:{grpc_port}"
    command = [
        server / "bin" / "tritonserver",
        f"--model-repository={folder}",
        f"--backend-directory={backends.parent}",
        "--model-control-mode=explicit",
        f"--load-model={MODELS[0]}",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--allow-metrics=false",
    ]
    where = {
        "LD_LIBRARY_PATH": f"{library}:{server.parent.parent / 'nvidia_pytriton.libs'}",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
    }
    with (folder.parent / "triton.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, env=os.environ | where, stdout=log, stderr=log
        )
        try:
            wait_until_ready(
                f"http://{http}/v2/health/ready", process, folder.parent / "triton.log"
            )
            yield http, grpc
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Or end with what the server said."""
    for _ in range(STARTS_WITHIN_S * 10):
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=1)  # noqa: S310 - our own loopback
            return
        time.sleep(0.1)
    raise SystemExit(f"Triton did not start:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def flawline(folder: Path) -> Iterator[tuple[str, str]]:
    """A `flawline serve` with the tiny artifact, and another one that it may load; its addresses."""
    (folder / "own").mkdir(parents=True)
    (folder / "others").mkdir()
    artifact = write_tiny_artifact(folder / "own")
    manifest = tiny_manifest(model_name="other", model_version="1").to_json()
    write_tiny_artifact(folder / "others", "other-1.onnx", manifest_text=manifest)
    server = ServerProcess(artifact, models_dir=str(folder / "others"), model_control="on")
    try:
        yield f"127.0.0.1:{server.rest_port}", server.grpc_target
    finally:
        server.terminate()
        server.exit_code()


def talk(addresses: tuple[str, str], version: str, files: list[Path]) -> dict[str, Any]:
    """What the client was told."""
    script = ROOT / "tests" / "support" / "triton_conversation.py"
    done = subprocess.run(  # noqa: S603
        [PYTHON, script, *addresses, MODELS[0], version, MODELS[1], *files],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def shape(value: Any, path: str = "") -> dict[str, str]:
    """Every member of a document with the type of its value; rows of a list are taken together."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, member in value.items():
            found |= shape(member, f"{path}.{key}" if path else key)
        return found
    if isinstance(value, list):
        found = {path: "list"}
        for member in value:
            found |= shape(member, f"{path}[]")
        return found
    return {
        path: "number"
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else type(value).__name__
    }


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> int:
    """Print both side by side; how many questions were answered in another shape."""
    differing = 0
    for half in ("http", "grpc"):
        for question, answer in theirs[half].items():
            mine, other = shape(ours[half][question]), shape(answer)
            clash = {path for path in mine.keys() & other.keys() if mine[path] != other[path]}
            differing += bool(clash)
            print(f"{half} {question}: {'DIFFERS' if clash else 'same'}")
            for name, paths in (
                ("differs", clash),
                ("only Triton", other.keys() - mine.keys()),
                ("only Flawline", mine.keys() - other.keys()),
            ):
                if paths:
                    print(f"    {name}: {', '.join(sorted(paths))}")
            if "error" in other or "error" in mine:
                print(f"    Triton {answer}\n    Flawline {ours[half][question]}")
    return differing


def main() -> None:
    """Start both, ask both, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--triton", type=Path, required=True, help="environment with nvidia-pytriton"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [folder / f"{number}.png" for number in range(3)]
        for number, file in enumerate(files):
            file.write_bytes(numbered(number))
        with flawline(folder / "flawline") as addresses:
            ours = talk(addresses, "1.2.3", files)
        with triton(arguments.triton.resolve(), folder / "models") as addresses:
            theirs = talk(addresses, "1", files)
    raise SystemExit(1 if compare(ours, theirs) else 0)


if __name__ == "__main__":
    main()
