"""What pictures are run with: threads, batches, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class EngineSettings(BaseSettings):
    """The part of FlawlineSettings that fits the service to a machine."""

    max_batch: int = Field(8, ge=1, le=256, description="Most pictures to run at once.")
    decode_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads that decode the pictures of a batch, where fewer batches run side by side than "
        "these; else each batch decodes its own. 0 for one a core, at most four.",
    )
    engine_threads: int = Field(
        0, ge=0, le=256, description="Threads that the engine computes with; 0 for one a core."
    )
    engine_parallel: int = Field(
        0,
        ge=0,
        le=256,
        description="Batches that are computed side by side, on `engine_threads` together; with 1, a batch has all "
        "threads. 0 for one on other devices than a CPU, while one more is prepared; and for one a thread on a CPU, "
        "which answers most frames a second.",
    )
    engine_lone_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="On a CPU, threads that compute a single picture while there is no other, so that it is answered "
        "sooner; at most `engine_threads`. They spin: on two cores a picture costs half as much CPU time again, and "
        "the network is in memory twice. 1 does without, 0 is up to four where each is bound to a core "
        "(`engine_pinned`), and one while others compute.",
    )
    engine_pinned: bool = Field(
        True,
        description="Bind a thread that computes to each core, where as many batches run side by side on a CPU as "
        "there are cores and no quota gives the container less; Linux alone. While other processes compute much on "
        "these cores (0.6 of one, and half of those beyond four), the threads go where there is room (`cores_released` "
        "and `cores_bound` in the log).",
    )
    engine_device: Literal["cpu", "cuda", "tensorrt", "auto"] = Field(
        "cpu",
        description="What the engine computes on; `auto` takes the best there is. Other devices than the CPU need "
        "the build of ONNX Runtime for them.",
    )
    engine_fallback: Literal["cpu", "refuse"] = Field(
        "cpu",
        description="Without the device asked for: `cpu` goes on there with a warning, `refuse` does not start.",
    )
    engine_cache_dir: Path | None = Field(
        None,
        description="Where TensorRT keeps the engines it compiled; without it, it compiles at each start.",
    )
    concurrency: int = Field(
        1, ge=1, le=64, description="How many engines a worker process runs side by side."
    )
    engine_stall_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="A batch that takes longer makes the service not ready until it ends.",
    )
