"""From a decoded frame to pictures of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.core.values import PIXEL_DECIMALS, Box
from flawspec.letterbox import Letterbox


def place(grey: NDArray[np.uint8], row: NDArray[np.uint8], pad_value: int) -> Letterbox:
    """Letterbox a frame into its row of a batch; what is returned leads boxes back to the frame.

    grey: uint8 [H, W], frame pixels. row: uint8 [1, input height, input width], overwritten wholly.
    """
    _, input_height_px, input_width_px = row.shape
    frame_height_px, frame_width_px = grey.shape
    letterbox = Letterbox.fit(frame_width_px, frame_height_px, input_width_px, input_height_px)
    letterbox.apply_into(grey, pad_value, row[0])
    return letterbox


@dataclass(frozen=True, slots=True)
class View:
    """What the network sees of a frame in one row of a batch: all of it, or a tile.

    left_px, top_px: where it begins, in frame pixels. letterbox: where it lies in the row.
    """

    left_px: int
    top_px: int
    letterbox: Letterbox

    def in_frame(self, box: Box) -> Box:
        """A box in the view's own pixels, in the frame's."""
        x, y = self.left_px, self.top_px
        sides = (box.x_min + x, box.y_min + y, box.x_max + x, box.y_max + y)
        return Box(*(round(side, PIXEL_DECIMALS) for side in sides))
