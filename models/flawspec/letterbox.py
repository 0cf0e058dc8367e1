"""Placing a frame of any size in a model's input, and boxes back in the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from flawspec.boxes import clip_xyxy

_REDUCING_GAP = 2.0


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies in a model's input: scaled, its aspect kept, centred, the rest padded."""

    frame_width_px: int
    frame_height_px: int
    input_width_px: int
    input_height_px: int
    scale: float
    """Input pixels per frame pixel, before the sides are rounded to whole pixels."""
    left_px: int
    top_px: int
    resized_width_px: int
    resized_height_px: int

    @classmethod
    def fit(
        cls, frame_width_px: int, frame_height_px: int, input_width_px: int, input_height_px: int
    ) -> Letterbox:
        """The largest placement that fits; a small frame is scaled up.

        Raises ValueError for a side below 1.
        """
        if min(frame_width_px, frame_height_px, input_width_px, input_height_px) < 1:
            raise ValueError("every side of frame and input must be at least 1 pixel")
        scale = min(input_width_px / frame_width_px, input_height_px / frame_height_px)
        # A frame much longer than wide would round to nothing: one row of pixels is the least.
        width = min(max(round(frame_width_px * scale), 1), input_width_px)
        height = min(max(round(frame_height_px * scale), 1), input_height_px)
        return cls(
            frame_width_px=frame_width_px,
            frame_height_px=frame_height_px,
            input_width_px=input_width_px,
            input_height_px=input_height_px,
            scale=scale,
            left_px=(input_width_px - width) // 2,
            top_px=(input_height_px - height) // 2,
            resized_width_px=width,
            resized_height_px=height,
        )

    def apply(self, grey: NDArray[np.uint8], pad_value: int) -> NDArray[np.uint8]:
        """The frame `grey` (uint8 [H, W]) as a model sees it: a new uint8 [input_h, input_w]."""
        out = np.empty((self.input_height_px, self.input_width_px), dtype=np.uint8)
        self.apply_into(grey, pad_value, out)
        return out

    def apply_into(self, grey: NDArray[np.uint8], pad_value: int, out: NDArray[np.uint8]) -> None:
        """Like `apply`, but written into `out`: uint8 [input_h, input_w], often a batch's row.

        Every pixel of `out` is written. Raises ValueError when `grey` or `out` has another shape
        than was fitted.
        """
        if grey.shape != (self.frame_height_px, self.frame_width_px):
            raise ValueError(f"the frame is {grey.shape}, fitted was another size: {self}")
        if out.shape != (self.input_height_px, self.input_width_px):
            raise ValueError(f"the buffer is {out.shape}, fitted was another size: {self}")
        right, bottom = self.left_px + self.resized_width_px, self.top_px + self.resized_height_px
        out[: self.top_px] = pad_value
        out[bottom:] = pad_value
        out[self.top_px : bottom, : self.left_px] = pad_value
        out[self.top_px : bottom, right:] = pad_value
        out[self.top_px : bottom, self.left_px : right] = self._resized(grey)

    def to_frame(self, boxes_xyxy: ArrayLike) -> NDArray[np.float32]:
        """Boxes [N, 4] from input pixels to frame pixels, cut to the frame; a new float32 array."""
        offset, factor = self._offset(), self._factor()
        boxes = (np.asarray(boxes_xyxy, dtype=np.float32).reshape(-1, 4) - offset) / factor
        return clip_xyxy(boxes, self.frame_width_px, self.frame_height_px)

    def to_input(self, boxes_xyxy: ArrayLike) -> NDArray[np.float32]:
        """Boxes [N, 4] from frame pixels to input pixels; a new float32 array."""
        boxes = np.asarray(boxes_xyxy, dtype=np.float32).reshape(-1, 4)
        return boxes * self._factor() + self._offset()

    def _resized(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = (self.resized_width_px, self.resized_height_px)
        if grey.shape == size[::-1]:
            return grey
        # The gap lets Pillow shrink big frames by whole numbers first: four times as fast at 5
        # megapixels, a grey level or two off; frames up to twice the input are not touched by it.
        resized = Image.fromarray(grey).resize(
            size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP
        )
        return np.asarray(resized)

    def _offset(self) -> NDArray[np.float32]:
        return np.array([self.left_px, self.top_px] * 2, dtype=np.float32)

    def _factor(self) -> NDArray[np.float32]:
        # Measured on the rounded sides, a factor an axis: `scale` alone would be off by up to half
        # a pixel at the far edge.
        x = self.resized_width_px / self.frame_width_px
        y = self.resized_height_px / self.frame_height_px
        return np.array([x, y, x, y], dtype=np.float32)
