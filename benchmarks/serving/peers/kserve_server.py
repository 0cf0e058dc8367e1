"""KServe's Python server, which does not batch: the network runs beside the event loop, as its pages advise."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, logging

from serving.detector import detector_of_environment


class Inspection(Model):  # type: ignore[misc]
    """One picture in, its answer as JSON out."""

    def __init__(self) -> None:
        super().__init__("inspection")
        self.detector = detector_of_environment()
        self.ready = True

    def __reduce__(self) -> tuple[type[Inspection], tuple[()]]:
        """KServe pickles models to its processes; the network is loaded anew in each."""
        return Inspection, ()

    async def predict(
        self,
        payload: InferRequest | dict[str, Any],
        headers: object = None,
        response_headers: object = None,
    ) -> InferResponse | dict[str, Any]:
        """In the thread pool; REST is asked by the V1 protocol, gRPC by the Open Inference Protocol."""
        del headers, response_headers
        if isinstance(payload, dict):
            pictures = [base64.b64decode(instance["b64"]) for instance in payload["instances"]]
            return {"predictions": await asyncio.to_thread(self.detector.inspect, pictures)}
        pictures = [bytes(picture) for picture in payload.inputs[0].as_numpy().reshape(-1)]
        answers = await asyncio.to_thread(self.detector.inspect_to_json, pictures)
        output = InferOutput("answer", shape=[len(answers)], datatype="BYTES")
        output.set_data_from_numpy(np.array(answers, dtype=object), binary_data=True)
        return InferResponse(payload.id or "1", self.name, [output])


if __name__ == "__main__":
    logging.configure_logging()
    ModelServer(workers=int(os.environ["BENCH_PROCESSES"]), enable_latency_logging=False).start(
        [Inspection()]
    )
