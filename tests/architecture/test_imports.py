"""What importing brings along, seen from a fresh process: static rules do not see what third parties import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "onnx", "onnxscript", "mobilemamba", "faster_coco_eval", "safetensors"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["flawline.bootstrap", "flawline.cli", "flawline.samples.coco"])
def test_serving_never_imports_torch_or_the_science(module: str) -> None:
    assert modules_after(f"import {module}") & HEAVY == set()


def test_serving_needs_no_opentelemetry_and_does_not_load_its_exporter() -> None:
    # Others (redis, fastapi) look for parts of it themselves; none of ours may need any.
    absent = "sys.modules.update({'opentelemetry.sdk': None, 'opentelemetry.exporter': None})"
    modules_after(f"{absent}; import flawline.cli.serve, flawline.cli.worker")
    code = "import sys, flawline.cli; print(*(n for n in sys.modules if 'opentelemetry' in n))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "flawline.adapters.opentelemetry_traces" not in loaded
    assert not any(name.startswith("opentelemetry.exporter") for name in loaded)


@pytest.mark.parametrize("module", ["flawspec.artifact", "flawspec.decoding", "flawspec.nms"])
def test_the_contract_needs_its_codecs_and_numpy_alone(module: str) -> None:
    brought = modules_after(f"import {module}") - modules_after("import numpy, PIL.Image")
    third_party = {name for name in brought if name not in sys.stdlib_module_names}
    of_cython = {name for name in third_party if "cython" in name}  # simplejpeg is compiled by it
    assert third_party - of_cython <= {"flawspec", "PIL", "numpy", "simplejpeg"}


def test_core_and_application_bring_no_framework() -> None:
    brought = modules_after("import flawline.application.inspector, flawline.application.worker")
    frameworks = {"fastapi", "starlette", "grpc", "onnxruntime", "prometheus_client", "pydantic"}
    assert brought & frameworks == set()


def test_the_client_brings_nothing_of_the_service() -> None:
    brought = modules_after("import flawline.client.grpc, flawline.client.camera")
    service = {"fastapi", "starlette", "onnxruntime", "prometheus_client", "pydantic", "redis"}
    assert brought & (service | {"httpx", "numpy", "PIL", "flawspec"}) == set()


def test_asking_for_health_needs_nothing_of_pictures() -> None:
    # Containers do it every ten seconds, beside the worker; numpy and Pillow are most of the way to start.
    brought = modules_after("import flawline.cli.health")
    assert brought & {"numpy", "PIL", "simplejpeg", "onnxruntime", "prometheus_client"} == set()


def test_serving_needs_no_httpx() -> None:
    assert "httpx" not in modules_after("import flawline.bootstrap, flawline.cli")


@pytest.mark.parametrize("module", ["flawline.bootstrap", "mobilemamba.export"])
def test_onnx_runtime_leaves_no_trace_of_this_device_and_reports_to_nobody(
    module: str, tmp_path: Path
) -> None:
    """It would write an id of the device and a store of events into the home folder (seen with 1.32)."""
    artifact = next((Path(__file__).parents[2] / "models" / "artifacts").glob("*.onnx"))
    code = (
        f"import {module}, onnxruntime, sys;"
        "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
    )
    # In CI it keeps quiet by itself: the test is of everywhere else.
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", code, str(artifact)], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path).lower()] == []


def test_without_torch_the_science_says_what_is_missing() -> None:
    code = "import sys; sys.modules['torch'] = None; import mobilemamba.detector"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "torch" in done.stderr.splitlines()[-1]
