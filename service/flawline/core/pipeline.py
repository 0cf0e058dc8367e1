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
from flawline.core.tiling import Tile, Tiling
from flawline.core.values import Detection
from flawline.core.verdict import Judgement, judge
from flawspec.decoding import DecodeLimits, decode_grey, probe
from flawspec.errors import PictureError
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

    def rows(self, picture: bytes) -> int:
        """How many images of an encoded picture the network will see, by its header; 1 where it tells nothing."""
        if self._tiling is None:
            return 1
        try:
            header = probe(picture, self._limits)
            return len(self._tiling.tiles(header.width_px, header.height_px))
        except PictureError:
            return 1  # decoding says what is wrong

    def tiles(self, grey: NDArray[np.uint8]) -> list[Tile]:
        """Of a frame (uint8 [H, W]); one for all of it where it is not cut.

        Raises flawspec's TooManyPixels where it would be cut into too many.
        """
        height_px, width_px = grey.shape
        if self._tiling is None:
            return [Tile(0, 0, width_px, height_px)]
        return self._tiling.tiles(width_px, height_px)

    def place(self, grey: NDArray[np.uint8], row: NDArray[np.uint8]) -> Letterbox:
        """Put a frame (uint8 [H, W]) into a row (uint8 [1, input height, input width])."""
        return place(grey, row, self._manifest.pad_value)

    def view(
        self, grey: NDArray[np.uint8], tiles: Sequence[Tile], images: NDArray[np.uint8]
    ) -> tuple[View, ...]:
        """Put the tiles of a frame into a row each: uint8 [tiles, 1, input height, input width]."""
        return tuple(
            View(left, top, self.place(grey[top:bottom, left:right], row))
            for (left, top, right, bottom), row in zip(tiles, images, strict=True)
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
