"""mosec: dynamic batches behind its Rust front, one worker process or one for each thread."""

import os
from collections.abc import Sequence

from mosec import Server, Worker

from serving.detector import MAX_BATCH, detector_of_environment


class Inspection(Worker):
    """Bytes in, bytes out: no JSON is read or written on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = detector_of_environment()

    def deserialize(self, data: bytes) -> bytes:
        """The picture as it came."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """It is JSON already."""
        return data

    def forward(self, data: Sequence[bytes]) -> list[bytes]:
        """A batch."""
        return self.detector.inspect_to_json(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Inspection,
        num=int(os.environ["BENCH_PROCESSES"]),
        max_batch_size=MAX_BATCH,
        max_wait_time=int(os.environ["BENCH_WINDOW_MS"]),
        timeout=30,
        route="/inspect",
    )
    server.run()
