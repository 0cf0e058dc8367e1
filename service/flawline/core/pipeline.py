"""The stages around the network, bound to one artifact; any thread may run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flawline.core.joining import joined
from flawline.core.postprocess import find_detections
from flawline.core.preprocess import View, place
from flawline.core.recipe import Recipe
from flawline.core.tiling import Corner, Tiling
from flawline.core.values import Detection
from flawline.core.verdict import Judgement, judge
from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.letterbox import Letterbox
from flawspec.manifest import ArtifactManifest


class InspectionPipeline:
    """decode -> place | the engine runs | judge.

    tiling: how large frames are cut; None shows the network every frame as a whole.
    """

    def __init__(
        self, manifest: ArtifactManifest, limits: DecodeLimits, tiling: Tiling | None = None
    ) -> None:
        self._manifest = manifest
        self._limits = limits
        self._tiling = tiling

    def images(self, count: int) -> NDArray[np.uint8]:
        """Memory for so many pictures of this artifact's input size: uint8 [count, 1, height, width]."""
        manifest = self._manifest
        return np.empty((count, 1, manifest.input_height_px, manifest.input_width_px), np.uint8)

    def decode(self, picture: bytes) -> NDArray[np.uint8]:
        """Grey values, uint8 [H, W], of an encoded picture. Raises flawspec's PictureError."""
        return decode_grey(picture, self._limits)

    def corners(self, grey: NDArray[np.uint8]) -> list[Corner]:
        """Where the views of a frame (uint8 [H, W]) begin: one for all of it, or one for each tile.

        Raises flawspec's TooManyPixels where it would be cut into too many.
        """
        if self._tiling is None:
            return [(0, 0)]
        height_px, width_px = grey.shape
        return self._tiling.corners(width_px, height_px)

    def place(self, grey: NDArray[np.uint8], row: NDArray[np.uint8]) -> Letterbox:
        """Put a frame (uint8 [H, W]) into a row (uint8 [1, input height, input width])."""
        return place(grey, row, self._manifest.pad_value)

    def view(
        self, grey: NDArray[np.uint8], corners: Sequence[Corner], images: NDArray[np.uint8]
    ) -> tuple[View, ...]:
        """Put the views of a frame that begin there into a row each: uint8 [V, 1, input height, input width]."""
        if len(corners) == 1 or self._tiling is None:
            return (View(0, 0, self.place(grey, images[0])),)
        width_px, height_px = self._tiling.width_px, self._tiling.height_px
        return tuple(
            View(left, top, self.place(grey[top : top + height_px, left : left + width_px], row))
            for (left, top), row in zip(corners, images, strict=True)
        )

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
        return judge(self._found(boxes_xyxy, scores, letterbox, recipe), recipe)

    def judge_views(
        self,
        boxes_xyxy: NDArray[np.float32],
        scores: NDArray[np.float32],
        views: Sequence[View],
        recipe: Recipe,
    ) -> Judgement:
        """The verdict on a frame from its views: float32 [V, A, 4] and [V, A, C]. Raises UnusableOutput."""
        if len(views) == 1:
            return self.judge(boxes_xyxy[0], scores[0], views[0].letterbox, recipe)
        tiles = [
            [
                replace(detection, box=view.in_frame(detection.box))
                for detection in self._found(boxes, of_classes, view.letterbox, recipe)
            ]
            for boxes, of_classes, view in zip(boxes_xyxy, scores, views, strict=True)
        ]
        return judge(joined(tiles), recipe)

    def _found(
        self,
        boxes_xyxy: NDArray[np.float32],
        scores: NDArray[np.float32],
        letterbox: Letterbox,
        recipe: Recipe,
    ) -> tuple[Detection, ...]:
        labels = self._manifest.labels
        min_scores = [recipe.score_thresholds[name] for name in labels.names]
        return find_detections(
            boxes_xyxy,
            scores,
            np.array(min_scores, dtype=np.float32),
            self._manifest.nms_iou_threshold,
            letterbox,
            labels,
        )
