"""How sharp a frame is: what it shows at 4 px beside what it shows at 8 px, less the sensor's noise."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Bands = NDArray[np.float32]

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
# Sum and diagonal difference of 2x2 px, from the four.
_HAAR = np.array([[1, 1, 1, 1], [1, -1, -1, 1]], dtype=np.float32)
_PAIR_NOISE = 0.25  # of one pixel's noise, in the mean of 2x2


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Of a frame, uint8 [H, W]: near 1 in focus (steel: 0.4 to 3), towards 0 for blur or nothing to see.

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
    frame of fewer than 12 px a side.
    """
    height_px, width_px = grey.shape
    side_px = min(_TILE_PX, height_px // 4 * 4, width_px // 4 * 4)
    if side_px < _LEAST_TILE_PX:
        return 0.0
    tiles = _energies(grey, side_px).tolist()
    mean_level = sum(math.sqrt(tile[5]) for tile in tiles) / len(tiles)
    textured = 2 * (_TEXTURED * mean_level) ** 2 + _LEAST_ENERGY
    noise = fine_y = fine_x = coarse_y = coarse_x = 0.0
    # In plain Python: each step of numpy would cost more, since the network has pushed its code out of the caches.
    for tile in tiles:
        texture = tile[3] + tile[4]
        spread = texture + textured
        weight = texture / (spread * spread)
        noise += weight * tile[0]
        fine_y += weight * tile[1]
        fine_x += weight * tile[2]
        coarse_y += weight * tile[3]
        coarse_x += weight * tile[4]
    noise *= _NOISE_SHARE * _PAIR_NOISE
    # The same factor for all tiles cancels, above and here.
    least = 0.5 * _LEAST_TEXTURE * len(tiles)
    first, second = (
        # the noise is never more than its share of the fine band
        max(fine - noise, (1.0 - _NOISE_SHARE) * fine) / (coarse + least)
        for fine, coarse in ((fine_y, coarse_y), (fine_x, coarse_x))
    )
    return 2.0 * first * second / (first + second) if first + second else 0.0


def _energies(grey: NDArray[np.uint8], side_px: int) -> Bands:
    """Of each tile, float32 [tiles, 6], in the order of `_bands`."""
    half = side_px // 2
    tiles = _tiles(grey, side_px)
    quarters = tiles.reshape(-1, half, 2, half, 2).transpose(2, 4, 0, 1, 3).reshape(4, -1)
    pairs, corners = (_HAAR @ quarters).reshape(2, len(tiles), half * half)
    filters, means = _bands(half)
    bands = filters.shape[1]
    found = np.empty((len(tiles), len(means)), dtype=np.float32)
    np.matmul(pairs, filters, out=found[:, :bands])
    found[:, bands:] = corners
    found *= found
    return found @ means


def _tiles(grey: NDArray[np.uint8], side_px: int) -> Bands:
    """Evenly over the frame, float32 [tiles, side * side]."""
    height_px, width_px = grey.shape
    # In a small frame they overlap, so that no edge between flat areas lies unseen between two of them.
    rows = min(_TILES_PER_SIDE, height_px - side_px + 1)
    columns = min(_TILES_PER_SIDE, width_px - side_px + 1)
    down = (height_px - side_px) // max(rows - 1, 1)
    right = (width_px - side_px) // max(columns - 1, 1)
    levels: NDArray[np.uint8] = np.ndarray(
        (rows, columns, side_px, side_px),
        np.uint8,
        np.ascontiguousarray(grey),
        strides=(down * width_px, right, width_px, 1),
    )
    return levels.astype(np.float32).reshape(rows * columns, side_px * side_px)


@lru_cache(maxsize=4)
def _bands(side: int) -> tuple[Bands, Bands]:
    """For pairs of `side` x `side`: filters float32 [side^2, F], and what makes 6 energies of squares [F + side^2, 6].

    Energies of noise; of the fine band along y and along x; of the coarse band along y and along x; the square of the
    mean level. What follows the filters' squares are those of diagonal differences. A mean energy is as of noise of
    variance 1 at each pixel (pair).
    """
    alone, twos = np.eye(side), np.kron(np.eye(side // 2), np.ones((2, 1)))
    filters, gains = [], []
    for sums, gain in ((alone, _GAIN_PAIRS), (twos, _GAIN_FOURS)):
        bends = np.diff(sums, 2)
        filters += [np.kron(bends, sums), np.kron(sums, bends)]
        gains += [gain, gain]
    filters.append(np.ones((side * side, 1)))
    gains.append(16.0 * side**4)
    weights = np.zeros((sum(f.shape[1] for f in filters) + side * side, 6), dtype=np.float32)
    start = 0
    for column, (bank, gain) in enumerate(zip(filters, gains, strict=True), start=1):
        stop = start + bank.shape[1]
        weights[start:stop, column] = 1.0 / (gain * bank.shape[1])
        start = stop
    # half of the rows tell enough of noise
    weights[start:].reshape(side, side, 6)[0::2, :, 0] = 2.0 / (_GAIN_DIAGONAL * side * side)
    return np.ascontiguousarray(np.concatenate(filters, axis=1), dtype=np.float32), weights
