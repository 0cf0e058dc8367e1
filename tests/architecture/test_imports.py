"""What importing brings along, seen from a fresh process: static rules do not see what third parties import."""

from __future__ import annotations

import subprocess
import sys

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


def test_serving_needs_no_httpx() -> None:
    assert "httpx" not in modules_after("import flawline.bootstrap, flawline.cli")


def test_without_torch_the_science_says_what_is_missing() -> None:
    code = "import sys; sys.modules['torch'] = None; import mobilemamba.detector"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "torch" in done.stderr.splitlines()[-1]
