"""What an engine computes on: what is asked of ONNX Runtime, and what it really took."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime

from flawspec.artifact import INPUT_NAME
from flawspec.errors import ArtifactError

logger = logging.getLogger(__name__)

Device = Literal["cpu", "cuda", "tensorrt", "auto"]
Provider = str | tuple[str, dict[str, Any]]

CPU_PROVIDER = "CPUExecutionProvider"
_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
# Best first; each falls back on those that follow, for operators that it lacks.
_WANTED: Mapping[Device, tuple[str, ...]] = {
    "cpu": (CPU_PROVIDER,),
    "cuda": (_CUDA, CPU_PROVIDER),
    "tensorrt": (_TENSORRT, _CUDA, CPU_PROVIDER),
    "auto": (_TENSORRT, _CUDA, CPU_PROVIDER),
}


class DeviceUnavailable(ArtifactError):  # noqa: N818 - named like its siblings
    """The device asked for is not there, and falling back on the CPU was ruled out."""

    code = "device_unavailable"

    def __init__(self, device: Device, offered: Sequence[str]) -> None:
        super().__init__(
            f"engine_device (FLAWLINE_ENGINE_DEVICE) is {device}, but the model runs on the CPU here: there is no "
            f"such device, driver or library (this ONNX Runtime offers {', '.join(offered)}). Mend that, or allow "
            "the CPU with FLAWLINE_ENGINE_FALLBACK=cpu."
        )


@dataclass(frozen=True, slots=True)
class Devices:
    """Which device is wanted, and what happens without it.

    wanted: `auto` takes the best there is and is content with a CPU. may_fall_back: on a CPU, with a warning, rather
    than not to start. cache_dir: where TensorRT keeps the engines that it compiles; None for nowhere.
    """

    wanted: Device = "cpu"
    may_fall_back: bool = True
    cache_dir: Path | None = None

    def providers(
        self, input_chw: tuple[int, int, int], max_batch: int, graph_bytes: int
    ) -> list[Provider]:
        """What to ask ONNX Runtime for, best first; names that it does not know are left out.

        graph_bytes: size of the ONNX file. A compiled engine holds its weights: without that much room none is kept.
        """
        offered = onnxruntime.get_available_providers()
        if _CUDA in offered and self.wanted != "cpu":
            # finds CUDA and cuDNN where they were installed as wheels
            onnxruntime.preload_dlls()
        names = [name for name in _WANTED[self.wanted] if name in offered]
        return [
            (name, self._tensorrt_options(input_chw, max_batch, graph_bytes))
            if name == _TENSORRT
            else name
            for name in names
        ]

    def fell_back(self, taken: Sequence[str]) -> bool:
        """Whether a session that runs on `taken` is on the CPU though another device was asked for.

        taken: providers of the session. Raises DeviceUnavailable where that is not allowed.
        """
        if self.wanted != "cpu":
            logger.info("engine_device wanted=%s taken=%s", self.wanted, ",".join(taken))
        if self.wanted in ("cpu", "auto") or taken[0] != CPU_PROVIDER:
            return False
        offered = onnxruntime.get_available_providers()
        if not self.may_fall_back:
            raise DeviceUnavailable(self.wanted, offered)
        logger.warning(
            "engine_on_cpu wanted=%s offered=%s: no such device, driver or library was found; verdicts are the same, "
            "and come later",
            self.wanted,
            ",".join(offered),
        )
        return True

    def _tensorrt_options(
        self, input_chw: tuple[int, int, int], max_batch: int, graph_bytes: int
    ) -> dict[str, Any]:
        """One engine for all batch sizes, kept on disk: to compile it takes minutes on a small board."""
        shape = "x".join(map(str, input_chw))
        options: dict[str, Any] = {
            "trt_profile_min_shapes": f"{INPUT_NAME}:1x{shape}",
            "trt_profile_opt_shapes": f"{INPUT_NAME}:1x{shape}",
            "trt_profile_max_shapes": f"{INPUT_NAME}:{max_batch}x{shape}",
        }
        if self.cache_dir is not None and _has_room(self.cache_dir, graph_bytes):
            options |= {
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": str(self.cache_dir),
            }
        return options


def _has_room(folder: Path, least_bytes: int) -> bool:
    """Whether a file of that size can be made there; without, the engine is compiled anew at each start.

    Tried rather than asked: quotas, reserves and read-only mounts show in no figure. Half an engine, left by a full
    disk, would lie there for every start to come.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(least_bytes))
    except OSError as error:
        logger.warning(
            "engine_cache_unusable folder=%s: %s; compiled engines are not kept",
            folder,
            error.strerror or error,
        )
        return False
    return True
