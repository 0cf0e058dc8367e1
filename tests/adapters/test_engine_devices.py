"""What is asked of ONNX Runtime, and what is made of what it took. No GPU is needed."""

from __future__ import annotations

import hashlib
import logging
import resource
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tiny_artifact import tiny_manifest, write_tiny_artifact

from flawline.adapters.onnx_engine import Device, Devices, DeviceUnavailable, OnnxEngine

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
INPUT_CHW = (1, 128, 448)
GRAPH_BYTES = 5000


@pytest.fixture
def full_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this were the build of ONNX Runtime for NVIDIA's devices."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)


def names(devices: Devices) -> list[str]:
    providers = devices.providers(INPUT_CHW, 4, GRAPH_BYTES)
    return [provider if isinstance(provider, str) else provider[0] for provider in providers]


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ("cpu", [CPU]),
        ("cuda", [CUDA, CPU]),
        ("tensorrt", [TENSORRT, CUDA, CPU]),
        ("auto", [TENSORRT, CUDA, CPU]),
    ],
)
@pytest.mark.usefixtures("full_build")
def test_the_best_is_asked_for_first(wanted: Device, asked: list[str]) -> None:
    assert names(Devices(wanted)) == asked


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt", "auto"])
def test_a_build_for_cpus_is_not_asked_for_more(wanted: Device) -> None:
    assert names(Devices(wanted)) == [CPU]


@pytest.mark.usefixtures("full_build")
def test_tensorrt_compiles_one_engine_for_all_batches_and_keeps_it(tmp_path: Path) -> None:
    cache_dir = tmp_path / "engines"
    (_, options), *_ = Devices("tensorrt", cache_dir=cache_dir).providers(INPUT_CHW, 4, GRAPH_BYTES)
    assert options == {
        "trt_profile_min_shapes": "images:1x1x128x448",
        "trt_profile_opt_shapes": "images:1x1x128x448",
        "trt_profile_max_shapes": "images:4x1x128x448",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(cache_dir),
    }
    assert list(cache_dir.iterdir()) == []


@pytest.mark.usefixtures("full_build")
def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "engines"
    occupied.write_text("a file where a folder should be")
    (_, options), *_ = Devices("tensorrt", cache_dir=occupied).providers(INPUT_CHW, 4, GRAPH_BYTES)
    assert "trt_engine_cache_path" not in options
    assert f"engine_cache_unusable folder={occupied}" in caplog.text


@pytest.mark.usefixtures("full_build")
def test_a_cache_without_room_for_an_engine_is_done_without_and_left_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (GRAPH_BYTES - 1, hard))  # as a disk with less room
    try:
        (_, options), *_ = Devices("tensorrt", cache_dir=tmp_path).providers(
            INPUT_CHW, 4, GRAPH_BYTES
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "trt_engine_cache_path" not in options
    assert f"engine_cache_unusable folder={tmp_path}: File too large" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "taken", "fell_back"),
    [
        ("cpu", [CPU], False),
        ("auto", [CPU], False),
        ("cuda", [CUDA, CPU], False),
        ("tensorrt", [CUDA, CPU], False),
        ("cuda", [CPU], True),
        ("tensorrt", [CPU], True),
    ],
)
def test_only_a_cpu_nobody_asked_for_is_a_fall_back(
    wanted: Device, taken: list[str], fell_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert Devices(wanted).fell_back(taken) is fell_back
    assert ("engine_on_cpu" in caplog.text) is fell_back
    said = f"engine_device wanted={wanted} taken={','.join(taken)}"
    assert (said in caplog.text) is (wanted != "cpu")


async def test_an_engine_without_its_gpu_inspects_on_the_cpu_and_says_so(tmp_path: Path) -> None:
    engine = engine_on(tmp_path, Devices("cuda"))
    await engine.start()
    assert engine.fell_back
    engine.close()


async def test_an_engine_that_may_not_fall_back_does_not_start(tmp_path: Path) -> None:
    engine = engine_on(tmp_path, Devices("cuda", may_fall_back=False))
    with pytest.raises(DeviceUnavailable, match="FLAWLINE_ENGINE_DEVICE"):
        await engine.start()
    engine.close()


def engine_on(folder: Path, devices: Devices, max_batch: int = 2) -> OnnxEngine:
    path = write_tiny_artifact(folder)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return OnnxEngine(
        path, sha256, tiny_manifest(), max_batch=max_batch, threads=1, devices=devices
    )


@pytest.mark.parametrize(("first", "sizes"), [(CPU, [1, 4]), (CUDA, [1, 2, 3, 4])])
async def test_sizes_that_a_device_prepares_for_are_each_run_before_anybody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, sizes: list[int]
) -> None:
    seen: list[int] = []
    session = onnxruntime.InferenceSession

    class Recorded(session):
        def get_providers(self) -> list[str]:
            return [first, CPU]

        def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.append(len(inputs["images"]))
            return super().run(outputs, inputs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Recorded)
    engine = engine_on(tmp_path, Devices(), max_batch=4)
    try:
        await engine.start()
    finally:
        engine.close()
    assert seen == sizes
