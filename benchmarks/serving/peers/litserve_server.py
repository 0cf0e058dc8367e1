"""LitServe: batches of what is there (its window at its default, 0), one worker process or one for each thread."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import litserve
from fastapi import Depends, Request, Response

from serving.detector import MAX_BATCH, detector_of_environment


async def whole_body(request: Request) -> bytes:
    """LitServe's own way in would be JSON or a form, both dearer."""
    return await request.body()


class Inspection(litserve.LitAPI):
    """LitServe calls these in its worker processes, but for the types of the first and last."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        del device
        self.detector = detector_of_environment()

    def decode_request(self, request: Annotated[bytes, Depends(whole_body)]) -> bytes:
        """The picture, undecoded: `predict` does all the work."""
        return request

    def batch(self, inputs: Sequence[bytes]) -> Sequence[bytes]:
        """No array is made of pictures."""
        return inputs

    def predict(self, x: Sequence[bytes]) -> list[bytes]:
        """A batch."""
        return self.detector.inspect_to_json(x)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """One answer each."""
        return output

    def encode_response(self, output: bytes) -> Response:
        """It is JSON already."""
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    server = litserve.LitServer(
        Inspection(max_batch_size=MAX_BATCH, batch_timeout=0.0, api_path="/inspect"),
        accelerator="cpu",
        workers_per_device=int(os.environ["BENCH_PROCESSES"]),
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
