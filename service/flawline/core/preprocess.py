"""From a decoded frame to one picture of a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
