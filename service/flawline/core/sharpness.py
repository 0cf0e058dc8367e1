"""How sharp a frame is: what it shows at 4 px beside what it shows at 8 px, less the sensor's noise."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
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
    upper, lower = tiles[0::2], tiles[1::2]
    pairs = _columns_added(upper + lower)
    across = upper - lower
    noise = _energy(across[:, 0::2] - across[:, 1::2], _GAIN_DIAGONAL)
    noise *= _NOISE_SHARE * _PAIR_NOISE
    both = np.concatenate((pairs, pairs.transpose(1, 0, 2)), axis=2)  # each tile, then turned
    fine = _bends(both, _GAIN_PAIRS).reshape(2, -1)
    coarse = _bends(_columns_added(both[0::2] + both[1::2]), _GAIN_FOURS).reshape(2, -1)
    texture = (coarse[0] + coarse[1]) * 0.5
    textured = (_TEXTURED * float(np.add.reduce(pairs, axis=None)) / (4.0 * pairs.size)) ** 2
    textured += _LEAST_ENERGY
    weight = texture * textured / (texture + textured) ** 2
    noisy, least = float(noise @ weight), _LEAST_TEXTURE * textured * weight.size
    first, second = (
        # the noise is never more than its share of the fine band
        max(energy - noisy, (1.0 - _NOISE_SHARE) * energy) / (beside + least)
        for energy, beside in zip((fine @ weight).tolist(), (coarse @ weight).tolist(), strict=True)
    )
    return 2.0 * first * second / (first + second) if first + second else 0.0


def _tiles(grey: NDArray[np.uint8], side_px: int) -> Bands:
    """Evenly over the frame, float32 [side, side, tiles]: so all that follows runs along the tiles."""
    height_px, width_px = grey.shape
    # In a small frame they overlap, so that no edge between flat areas lies unseen between two of them.
    rows = min(_TILES_PER_SIDE, height_px - side_px + 1)
    columns = min(_TILES_PER_SIDE, width_px - side_px + 1)
    down = (height_px - side_px) // max(rows - 1, 1)
    right = (width_px - side_px) // max(columns - 1, 1)
    row_bytes, pixel_bytes = grey.strides
    view = as_strided(
        grey,
        (side_px, side_px, rows, columns),
        (row_bytes, pixel_bytes, down * row_bytes, right * pixel_bytes),
        writeable=False,
    )
    return view.astype(np.float32, order="C").reshape(side_px, side_px, rows * columns)


def _columns_added(rows: Bands) -> Bands:
    return rows[:, 0::2] + rows[:, 1::2]


def _bends(means: Bands, gain: float) -> Bands:
    """Energy [tiles] of the second differences along the first axis."""
    steps = means[1:] - means[:-1]
    return _energy(steps[1:] - steps[:-1], gain)


def _energy(values: Bands, gain: float) -> Bands:
    """Mean square [tiles] of float32 [.., .., tiles], as of noise of variance 1 at each pixel."""
    flat = values.reshape(-1, values.shape[-1])
    energy: Bands = np.einsum("it,it->t", flat, flat)
    energy *= 1.0 / (gain * len(flat))
    return energy
