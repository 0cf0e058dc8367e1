"""How sharp a frame is: what it shows at 4 px beside what it shows at 8 px, less the sensor's noise."""

from __future__ import annotations

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
_EVERY_PAIR = 8  # of them tell the mean level
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
    tiles = _tiles(grey, side_px)
    pairs = _pairs(tiles)
    energies = _energies(tiles, pairs)
    texture = energies[:, 3] + energies[:, 4]
    some = pairs[:, ::_EVERY_PAIR]
    textured = 2 * (_TEXTURED * float(np.add.reduce(some, axis=None)) / (4.0 * some.size)) ** 2
    textured += _LEAST_ENERGY
    spread = texture + textured
    # The same factor for all tiles cancels, here and in `least`.
    noise, *bands = ((texture / (spread * spread)) @ energies).tolist()
    noise *= _NOISE_SHARE * _PAIR_NOISE
    least = 0.5 * _LEAST_TEXTURE * texture.size
    first, second = (
        # the noise is never more than its share of the fine band
        max(fine - noise, (1.0 - _NOISE_SHARE) * fine) / (coarse + least)
        for fine, coarse in (bands[0::2], bands[1::2])
    )
    return 2.0 * first * second / (first + second) if first + second else 0.0


def _tiles(grey: NDArray[np.uint8], side_px: int) -> Bands:
    """Evenly over the frame, float32 [side, tiles, side]: rows, tiles, columns."""
    height_px, width_px = grey.shape
    # In a small frame they overlap, so that no edge between flat areas lies unseen between two of them.
    rows = min(_TILES_PER_SIDE, height_px - side_px + 1)
    columns = min(_TILES_PER_SIDE, width_px - side_px + 1)
    down = (height_px - side_px) // max(rows - 1, 1)
    right = (width_px - side_px) // max(columns - 1, 1)
    levels: NDArray[np.uint8] = np.ndarray(
        (side_px, rows, columns, side_px),
        np.uint8,
        np.ascontiguousarray(grey),
        strides=(width_px, down * width_px, right, 1),
    )
    return levels.astype(np.float32).reshape(side_px, rows * columns, side_px)


def _pairs(tiles: Bands) -> Bands:
    """Sums of 2x2 px, float32 [tiles, side / 2 * side / 2]."""
    half = len(tiles) // 2
    rows = (tiles[0::2] + tiles[1::2]).reshape(-1)
    sums = (rows[0::2] + rows[1::2]).reshape(half, -1, half)
    # One row of a tile is one item, so that numpy copies it at once.
    turned: Bands = sums.view(f"V{4 * half}")[:, :, 0].T.copy().view(np.float32)
    return turned


def _energies(tiles: Bands, pairs: Bands) -> Bands:
    """Energy of each tile, float32 [tiles, 5]: noise; fine band along y, along x; coarse band along y, along x."""
    energies = np.empty((len(pairs), 5), dtype=np.float32)
    steps = (tiles[0::4] - tiles[1::4]).reshape(-1)  # half of the rows tell enough of noise
    corners = (steps[0::2] - steps[1::2]).reshape(len(tiles) // 4, len(pairs), -1)
    energies[:, 0] = np.einsum("ytx,ytx->t", corners, corners)
    energies[:, 0] *= len(pairs) / (_GAIN_DIAGONAL * corners.size)
    filters, means = _bands(len(tiles) // 2)
    bends = pairs @ filters
    bends *= bends
    np.matmul(bends, means, out=energies[:, 1:])
    return energies


@lru_cache(maxsize=4)
def _bands(side: int) -> tuple[Bands, Bands]:
    """For pairs of `side` x `side`: filters float32 [side^2, F], and what makes 4 energies of their squares [F, 4].

    Second differences of the pairs along y and along x, and of sums of 2x2 of them. A mean energy is as of noise
    of variance 1 at each pixel.
    """
    alone, twos = np.eye(side), np.kron(np.eye(side // 2), np.ones((2, 1)))
    filters, means = [], []
    for sums, gain in ((alone, _GAIN_PAIRS), (twos, _GAIN_FOURS)):
        bends = np.diff(sums, 2)
        for along in (np.kron(bends, sums), np.kron(sums, bends)):
            filters.append(along)
            means.append(np.full(along.shape[1], 1.0 / (gain * along.shape[1])))
    weights = np.zeros((sum(len(mean) for mean in means), len(means)), dtype=np.float32)
    start = 0
    for column, mean in enumerate(means):
        weights[start : start + len(mean), column] = mean
        start += len(mean)
    return np.ascontiguousarray(np.concatenate(filters, axis=1), dtype=np.float32), weights
