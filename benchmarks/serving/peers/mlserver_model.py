"""MLServer: a runtime of ours for BYTES, in its parallel workers, with adaptive batches where the catalogue says so."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from serving.detector import detector_of_environment


class Inspection(MLModel):  # type: ignore[misc]
    """Pictures in, their answers as JSON out."""

    async def load(self) -> bool:
        """In each worker process."""
        self.detector = detector_of_environment()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """All pictures of a request, or of the requests that MLServer put together."""
        pictures = getattr(payload.inputs[0].data, "root", payload.inputs[0].data)
        answers = self.detector.inspect_to_json(pictures)
        output = ResponseOutput(name="answer", datatype="BYTES", shape=[len(answers)], data=answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
