"""What every contender does with a picture, in as few words as possible: decode, place, run, judge.

Flawline's own pure functions, so that limit and peers do the very work that Flawline does: the same decoder, the same
letterbox, the same NMS. Needs numpy, Pillow, simplejpeg and onnxruntime; also in the environments of the peers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import default_recipe
from flawline.core.verdict import Judgement
from flawspec.artifact import BOXES_NAME, INPUT_NAME, SCORES_NAME, read_manifest
from flawspec.decoding import DecodeLimits
from flawspec.letterbox import Letterbox

MAX_BATCH = 8
ARTIFACT_VARIABLE = "BENCH_ARTIFACT"
THREADS_VARIABLE = "BENCH_THREADS"


class Detector:
    """One artifact in one session of ONNX Runtime; any thread may call it.

    threads: what the session computes with. Its options are those that Flawline's engine uses.
    """

    def __init__(self, artifact: Path, threads: int) -> None:
        self.manifest = read_manifest(artifact)
        self._pipeline = InspectionPipeline(self.manifest, DecodeLimits())
        self._recipe = default_recipe(self.manifest)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(artifact), options, providers=["CPUExecutionProvider"]
        )

    def warm_up(self) -> None:
        """Run each batch size once."""
        shape = (1, self.manifest.input_height_px, self.manifest.input_width_px)
        for size in range(1, MAX_BATCH + 1):
            self.run(np.zeros((size, *shape), np.uint8))

    def place(self, picture: bytes) -> tuple[NDArray[np.uint8], Letterbox]:
        """The network's input, uint8 [1, height, width], of an encoded picture."""
        row = np.empty((1, self.manifest.input_height_px, self.manifest.input_width_px), np.uint8)
        letterbox = self._pipeline.place(self._pipeline.decode(picture), row)
        return row, letterbox

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes [N, A, 4] and scores [N, A, C] of uint8 [N, 1, height, width]."""
        boxes_xyxy, scores = self._session.run([BOXES_NAME, SCORES_NAME], {INPUT_NAME: images})
        return boxes_xyxy, scores

    def judge(
        self, boxes_xyxy: NDArray[np.float32], scores: NDArray[np.float32], letterbox: Letterbox
    ) -> Judgement:
        """Of one picture: threshold, NMS, boxes in the frame's pixels, verdict."""
        return self._pipeline.judge(boxes_xyxy, scores, letterbox, self._recipe)

    def inspect(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        """The answers to a batch of encoded pictures, as JSON wants them."""
        placed = [self.place(picture) for picture in pictures]
        boxes_xyxy, scores = self.run(np.stack([row for row, _ in placed]))
        return [
            document(self.judge(boxes, of_classes, letterbox))
            for boxes, of_classes, (_, letterbox) in zip(boxes_xyxy, scores, placed, strict=True)
        ]

    def inspect_to_json(self, pictures: Sequence[bytes]) -> list[bytes]:
        """The answers to a batch of encoded pictures, encoded."""
        return [json.dumps(answer).encode() for answer in self.inspect(pictures)]


def document(judgement: Judgement) -> dict[str, Any]:
    """The part of Flawline's answer that a peer can give as well."""
    return {
        "verdict": judgement.verdict.value,
        "reasons": [{"code": r.code, "detail": r.detail} for r in judgement.reasons],
        "detections": [
            {
                "class": found.label,
                "score": found.score,
                "box": {
                    "x_min": found.box.x_min,
                    "y_min": found.box.y_min,
                    "x_max": found.box.x_max,
                    "y_max": found.box.y_max,
                },
            }
            for found in judgement.detections
        ],
    }


def detector_of_environment() -> Detector:
    """What a peer's process serves: the bench names artifact and threads in its environment."""
    detector = Detector(Path(os.environ[ARTIFACT_VARIABLE]), int(os.environ[THREADS_VARIABLE]))
    detector.warm_up()
    return detector
