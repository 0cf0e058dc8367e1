"""How sharp a frame is: what it shows at 4 px beside what it shows at 8 px, less the sensor's noise."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]

_TILE_PX = 16
_TILES_PER_SIDE = 7
_LEAST_TILE_PX = 12  # fewer leave no second difference of means over 4 px
# Of the noise that the diagonal differences show; a whole one would leave nothing of fine grain.
_NOISE_SHARE = 0.95
# Deviation of a textured tile's coarse band, as a share of the frame's mean level: so light cancels.
# One of less counts less, and one of more no more.
_TEXTURED = 0.01
# Of that energy: what all tiles together need, so that the rounding of a flat frame is no texture.
_LEAST_TEXTURE = 0.01
_LEAST_ENERGY = 1e-6  # a black frame divides nothing by 0
# White noise of variance 1 gives the sums below so much energy at one place.
_GAIN_DIAGONAL = 4.0
_GAIN_PAIRS = 96.0  # 6 of the second difference, 16 of the sum of 2x2
_GAIN_FOURS = 1536.0
_GAINS = (_GAIN_PAIRS, _GAIN_PAIRS, _GAIN_FOURS, _GAIN_FOURS)
# Sum and diagonal difference of 2x2 px, from the four.
_HAAR = np.array([[1, 1, 1, 1], [1, -1, -1, 1]], dtype=np.float32)
_PAIR_NOISE = 0.25  # of one pixel's noise, in the mean of 2x2


def sharpness(grey: NDArray[np.uint8], mean_level: float) -> float:
    """Of a frame, uint8 [H, W], and its mean 0..255: near 1 in focus (steel: 0.4 to 3), towards 0 for blur.

    Blur takes the finest detail first, so that the energy of second differences between means of
    2x2 px falls beside that between means of 4x4 px (a ratio of bands, as Kautsky et al., "A new
    wavelet-based measure of image focus", Pattern Recogn. Lett. 23, 2002). Light and contrast
    cancel. Three things make the ratio hold on a line:

    - The sensor's noise comes after the optics, and would pass for detail. It is what diagonal
      neighbours differ by; its share of the fine band is taken off.
    - It is made of tiles, of which each counts by its texture up to a bound: neither one strong
      edge (a ring of light, a flaw) nor what lies in the dark decides.
    - Both axes are measured, and their harmonic mean falls when one goes: motion blurs one.

    Tiles in full resolution lie evenly over the frame; their number does not grow with it. 0 for a
    frame of fewer than 12 px a side, and for one that shows nothing.
    """
    grid = _grid(*grey.shape)
    if grid is None:
        return 0.0
    # Few steps, however much each of them does: the network has pushed the code of every one out of the caches.
    energies = _energies(grey, grid)
    texture = energies[:, -1]
    spread = texture + np.float32(2 * (_TEXTURED * mean_level) ** 2 + _LEAST_ENERGY)
    spread *= spread
    noise, *bands_yx = ((texture / spread) @ energies).tolist()
    return _ratio(noise, bands_yx, len(energies))


class _Grid(NamedTuple):
    """Where the tiles lie in a frame of one size.

    quarters, strides: of a view of the frame, uint8 [2, 2, rows, columns, pairs, pairs], where the first two axes are
    the four pixels of 2x2 px, and the last two lead through a tile.
    """

    quarters: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def pairs(self) -> int:
        return self.quarters[-1]


@lru_cache(maxsize=16)
def _grid(height_px: int, width_px: int) -> _Grid | None:
    """None for a frame that is too small."""
    side_px = min(_TILE_PX, height_px // 4 * 4, width_px // 4 * 4)
    if side_px < _LEAST_TILE_PX:
        return None
    # In a small frame they overlap, so that no edge between flat areas lies unseen between two of them.
    rows = min(_TILES_PER_SIDE, height_px - side_px + 1)
    columns = min(_TILES_PER_SIDE, width_px - side_px + 1)
    down = (height_px - side_px) // max(rows - 1, 1)
    right = (width_px - side_px) // max(columns - 1, 1)
    return _Grid(
        (2, 2, rows, columns, side_px // 2, side_px // 2),
        (width_px, 1, down * width_px, right, 2 * width_px, 2),
    )


def _ratio(noise: float, bands_yx: list[float], tiles: int) -> float:
    """Harmonic mean of both axes' fine by coarse energy, of sums over tiles; the same factor for all cancels."""
    fine_y, fine_x, coarse_y, coarse_x, _ = bands_yx
    noise *= _NOISE_SHARE * _PAIR_NOISE
    least = 0.5 * _LEAST_TEXTURE * tiles
    # the noise is never more than its share of the fine band
    first = max(fine_y - noise, (1.0 - _NOISE_SHARE) * fine_y) / (coarse_y + least)
    second = max(fine_x - noise, (1.0 - _NOISE_SHARE) * fine_x) / (coarse_x + least)
    return 2.0 * first * second / (first + second) if first + second else 0.0


def _energies(grey: NDArray[np.uint8], grid: _Grid) -> Levels:
    """Of each tile, float32 [tiles, 6], in the order of `_bands`."""
    pairs = grid.pairs
    frame = np.ascontiguousarray(grey)
    pixels: NDArray[np.uint8] = np.ndarray(grid.quarters, np.uint8, frame, strides=grid.strides)
    quarters = pixels.astype(np.float32, order="C").reshape(4, -1)
    filters, means = _bands(pairs)
    of_sums, tiles = filters.shape[1], quarters.shape[1] // (pairs * pairs)
    sums, diagonals = (_HAAR @ quarters).reshape(2, tiles, pairs * pairs)
    # OpenBLAS does a product of more than half a million steps with several threads, whose waiting takes twenty
    # times as long beside the network as the work.
    found = np.empty((tiles, len(means)), dtype=np.float32)
    np.matmul(sums, filters, out=found[:, :of_sums])
    # half of the rows tell enough of noise
    found[:, of_sums:] = diagonals.reshape(tiles, -1, 2, pairs)[:, :, 0].reshape(tiles, -1)
    found *= found
    return found @ means


@lru_cache(maxsize=4)
def _bands(pairs: int) -> tuple[Levels, Levels]:
    """For `pairs` x `pairs` sums of 2x2 px: filters [pairs^2, F], and what makes energies of squares [F + .., 6].

    Energies of noise; of the fine band along y and along x; of the coarse band along y, along x, and along both
    together. What follows the filters' squares are those of diagonal differences. A mean energy is as of noise of
    variance 1 at each pixel (pair).
    """
    alone, twos = np.eye(pairs), np.kron(np.eye(pairs // 2), np.ones((2, 1)))
    banks = []
    for sums in (alone, twos):
        bends = np.diff(sums, 2)
        banks += [np.kron(bends, sums), np.kron(sums, bends)]
    diagonals = pairs * pairs // 2
    means = np.zeros((sum(bank.shape[1] for bank in banks) + diagonals, 6), dtype=np.float32)
    start = 0
    for column, (bank, gain) in enumerate(zip(banks, _GAINS, strict=True), start=1):
        stop = start + bank.shape[1]
        means[start:stop, column] = 1.0 / (gain * bank.shape[1])
        start = stop
    means[start:, 0] = 1.0 / (_GAIN_DIAGONAL * diagonals)
    means[:, 5] = means[:, 3] + means[:, 4]
    return np.ascontiguousarray(np.concatenate(banks, axis=1), dtype=np.float32), means
