"""Frames that show more surface than a model's training pictures, cut into tiles that it sees one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from flawspec.errors import TooManyPixels

MAX_TILES = 128
# A side of so much more than a tile's is not cut: training zooms as far (augment.scale).
_STILL_WHOLE = 1.25


class Tile(NamedTuple):
    """A part of a frame, in its pixels; right and bottom are the first that are not in it."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How frames are cut.

    width_px, height_px: of a tile, in frame pixels. overlap: least share of a tile's side that neighbours have in
    common, 0 or more and below 1; a flaw of at most so much is whole on one of them.
    """

    width_px: int
    height_px: int
    overlap: float

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}-{self.overlap:g}"

    def tiles(self, frame_width_px: int, frame_height_px: int) -> list[Tile]:
        """Evenly, row by row, from edge to edge; one of all of it where the frame is hardly larger than a tile.

        Raises TooManyPixels where there would be more than MAX_TILES.
        """
        across = _spans(frame_width_px, self.width_px, self.overlap)
        down = _spans(frame_height_px, self.height_px, self.overlap)
        if len(across) * len(down) > MAX_TILES:
            raise TooManyPixels(
                f"The picture of {frame_width_px} x {frame_height_px} pixels would be cut into "
                f"{len(across) * len(down)} tiles of {self.width_px} x {self.height_px}, more than the "
                f"{MAX_TILES} accepted. Send it in parts, or have the service cut larger tiles."
            )
        return [Tile(left, top, right, bottom) for top, bottom in down for left, right in across]


def _spans(side_px: int, tile_px: int, overlap: float) -> list[tuple[int, int]]:
    if side_px <= _STILL_WHOLE * tile_px:
        return [(0, side_px)]
    room = side_px - tile_px
    gaps = math.ceil(room / max(1.0, tile_px * (1.0 - overlap)))
    starts = (round(number * room / gaps) for number in range(gaps + 1))
    return [(start, start + tile_px) for start in starts]
