from __future__ import annotations

import itertools

import pytest

from flawline.core.tiling import MAX_TILES, Tiling
from flawspec.errors import TooManyPixels

TILING = Tiling(200, 100, 0.2)


@pytest.mark.parametrize("size", [(200, 100), (40, 30), (250, 125), (201, 100), (200, 101)])
def test_a_frame_that_shows_hardly_more_than_a_tile_stays_whole(size: tuple[int, int]) -> None:
    assert TILING.tiles(*size) == [(0, 0, *size)]


def test_tiles_lie_evenly_from_edge_to_edge_row_by_row() -> None:
    across = [(0, 0, 200, 100), (160, 0, 360, 100), (320, 0, 520, 100)]
    assert TILING.tiles(520, 100) == across
    assert TILING.tiles(200, 180) == [(0, 0, 200, 100), (0, 80, 200, 180)]
    assert TILING.tiles(360, 180) == [
        (0, 0, 200, 100),
        (160, 0, 360, 100),
        (0, 80, 200, 180),
        (160, 80, 360, 180),
    ]


@pytest.mark.parametrize("height_px", [60, 100, 101, 125])
def test_an_axis_that_is_hardly_longer_than_a_tile_is_not_cut(height_px: int) -> None:
    assert TILING.tiles(360, height_px) == [(0, 0, 200, height_px), (160, 0, 360, height_px)]


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("size", [(251, 126), (640, 480), (777, 333), (900, 400)])
def test_every_pixel_lies_on_a_tile_and_neighbours_share_what_they_must(
    size: tuple[int, int], overlap: float
) -> None:
    tiles = Tiling(200, 100, overlap).tiles(*size)
    for axis, tile_px in enumerate((200, 100)):
        spans = sorted({(tile[axis], tile[axis + 2]) for tile in tiles})
        assert {end - start for start, end in spans} == {tile_px}
        assert (spans[0][0], spans[-1][1]) == (0, size[axis])
        for (start, end), (following, _) in itertools.pairwise(spans):
            assert following <= end
            # Tiles lie on whole pixels: a rounding may take one from the overlap.
            assert following - start <= tile_px * (1 - overlap) + 1


def test_a_frame_of_absurdly_many_tiles_is_refused() -> None:
    side_px = 20
    tiling = Tiling(side_px, side_px, 0.0)
    assert len(tiling.tiles(16 * side_px, 8 * side_px)) == MAX_TILES
    with pytest.raises(TooManyPixels, match=r"340 x 160 pixels would be cut into 136 tiles"):
        tiling.tiles(17 * side_px, 8 * side_px)
