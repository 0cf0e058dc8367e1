"""Frames that show more surface than a model's training pictures, cut into tiles that it sees one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flawspec.errors import TooManyPixels

MAX_TILES = 256
# Frames of so much more than a tile, per side, stay whole: training showed flaws at half and at twice their size.
_STILL_WHOLE = 1.25

Corner = tuple[int, int]
"""Left and top, in frame pixels."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How frames are cut.

    width_px, height_px: of a tile, in frame pixels. overlap: least share of a tile's side that neighbours have in
    common, 0 or more and below 1; a flaw of at most so much is whole on one of them.
    """

    width_px: int
    height_px: int
    overlap: float

    def corners(self, frame_width_px: int, frame_height_px: int) -> list[Corner]:
        """Where the tiles lie: evenly, row by row, from edge to edge. Only (0, 0) where the frame stays whole.

        Raises TooManyPixels where there would be more than MAX_TILES.
        """
        whole = (
            frame_width_px <= _STILL_WHOLE * self.width_px
            and frame_height_px <= _STILL_WHOLE * self.height_px
        )
        if whole:
            return [(0, 0)]
        across = _starts(frame_width_px, self.width_px, self.overlap)
        down = _starts(frame_height_px, self.height_px, self.overlap)
        if len(across) * len(down) > MAX_TILES:
            raise TooManyPixels(
                f"The picture of {frame_width_px} x {frame_height_px} pixels would be cut into "
                f"{len(across) * len(down)} tiles of {self.width_px} x {self.height_px}, more than the "
                f"{MAX_TILES} accepted."
            )
        return [(left, top) for top in down for left in across]


def _starts(side_px: int, tile_px: int, overlap: float) -> list[int]:
    room = side_px - tile_px
    if room <= 0:
        return [0]
    gaps = math.ceil(room / max(1.0, tile_px * (1.0 - overlap)))
    return [round(number * room / gaps) for number in range(gaps + 1)]
