"""The stages around the network, bound to one artifact; any thread may run them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawline.core.postprocess import find_detections
from flawline.core.preprocess import place
from flawline.core.recipe import Recipe
from flawline.core.verdict import Judgement, judge
from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.letterbox import Letterbox
from flawspec.manifest import ArtifactManifest


class InspectionPipeline:
    """decode -> place | the engine runs | judge."""

    def __init__(self, manifest: ArtifactManifest, limits: DecodeLimits) -> None:
        self._manifest = manifest
        self._limits = limits

    def images(self, count: int) -> NDArray[np.uint8]:
        """Memory for so many pictures of this artifact's input size: uint8 [count, 1, height, width]."""
        manifest = self._manifest
        return np.empty((count, 1, manifest.input_height_px, manifest.input_width_px), np.uint8)

    def decode(self, picture: bytes) -> NDArray[np.uint8]:
        """Grey values, uint8 [H, W], of an encoded picture. Raises flawspec's PictureError."""
        return decode_grey(picture, self._limits)

    def place(self, grey: NDArray[np.uint8], row: NDArray[np.uint8]) -> Letterbox:
        """Put a frame (uint8 [H, W]) into a row (uint8 [1, input height, input width])."""
        return place(grey, row, self._manifest.pad_value)

    def judge(
        self,
        boxes_xyxy: NDArray[np.float32],
        scores: NDArray[np.float32],
        letterbox: Letterbox,
        recipe: Recipe,
    ) -> Judgement:
        """The verdict on one picture.

        boxes_xyxy: float32 [A, 4], input pixels. scores: float32 [A, C], 0..1. Raises
        UnusableOutput.
        """
        labels = self._manifest.labels
        min_scores = [recipe.score_thresholds[name] for name in labels.names]
        found = find_detections(
            boxes_xyxy,
            scores,
            np.array(min_scores, dtype=np.float32),
            self._manifest.nms_iou_threshold,
            letterbox,
            labels,
        )
        return judge(found, recipe)
