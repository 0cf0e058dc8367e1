"""Triton's Python backend: what its dynamic batcher put together, in one instance or one for each thread."""

from __future__ import annotations

import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils

# Triton gives its stub a search path of its own.
sys.path[:0] = os.environ["BENCH_PATH"].split(os.pathsep)

from serving.detector import detector_of_environment  # noqa: E402


class TritonPythonModel:
    """Pictures in, their answers as JSON out."""

    def initialize(self, args: dict[str, str]) -> None:
        """Once in each instance's process."""
        del args
        self.detector = detector_of_environment()

    def execute(self, requests: list[object]) -> list[object]:
        """One response a request, in their order."""
        pictures = [
            pb_utils.get_input_tensor_by_name(request, "pictures").as_numpy().reshape(-1)[0]
            for request in requests
        ]
        return [
            pb_utils.InferenceResponse(
                output_tensors=[pb_utils.Tensor("answer", np.array([[answer]], dtype=object))]
            )
            for answer in self.detector.inspect_to_json(pictures)
        ]
