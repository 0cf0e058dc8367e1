"""BentoML: adaptive batches in one process, or one process for each thread."""

import os
from pathlib import Path

import bentoml

from serving.detector import MAX_BATCH, detector_of_environment


@bentoml.service(workers=int(os.environ["BENCH_PROCESSES"]), traffic={"timeout": 30})
class Inspection:
    """A form with one file, since batches want a list."""

    def __init__(self) -> None:
        self.detector = detector_of_environment()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=1000, route="/inspect")
    def inspect(self, pictures: list[Path]) -> list[dict]:  # type: ignore[type-arg]
        """A batch; BentoML hands files out by their paths."""
        return self.detector.inspect([picture.read_bytes() for picture in pictures])
