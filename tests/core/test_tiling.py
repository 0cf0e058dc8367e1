from __future__ import annotations

import itertools

import pytest

from flawline.core.tiling import MAX_TILES, Tiling
from flawspec.errors import TooManyPixels

TILING = Tiling(200, 100, 0.2)


@pytest.mark.parametrize("size", [(200, 100), (40, 30), (250, 125)])
def test_a_frame_that_shows_hardly_more_than_a_tile_stays_whole(size: tuple[int, int]) -> None:
    assert TILING.corners(*size) == [(0, 0)]


def test_tiles_lie_evenly_from_edge_to_edge_row_by_row() -> None:
    assert TILING.corners(520, 100) == [(0, 0), (160, 0), (320, 0)]
    assert TILING.corners(200, 180) == [(0, 0), (0, 80)]
    assert TILING.corners(360, 180) == [(0, 0), (160, 0), (0, 80), (160, 80)]
    # One axis is short of a tile: it is not cut there.
    assert TILING.corners(400, 60) == [(0, 0), (100, 0), (200, 0)]


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("size", [(251, 100), (640, 480), (777, 333), (1024, 500)])
def test_every_pixel_lies_on_a_tile_and_neighbours_share_what_they_must(
    size: tuple[int, int], overlap: float
) -> None:
    corners = Tiling(200, 100, overlap).corners(*size)
    for axis, tile_px in enumerate((200, 100)):
        starts = sorted({corner[axis] for corner in corners})
        assert starts[0] == 0
        assert starts[-1] == max(0, size[axis] - tile_px)
        for one, following in itertools.pairwise(starts):
            # Corners are whole pixels: a rounding may take one from the overlap.
            assert following - one <= tile_px * (1 - overlap) + 1


def test_a_frame_of_absurdly_many_tiles_is_refused() -> None:
    side_px = 20
    tiling = Tiling(side_px, side_px, 0.0)
    assert len(tiling.corners(16 * side_px, 16 * side_px)) == MAX_TILES
    with pytest.raises(TooManyPixels, match=r"340 x 320 pixels would be cut into 272 tiles"):
        tiling.corners(17 * side_px, 16 * side_px)
