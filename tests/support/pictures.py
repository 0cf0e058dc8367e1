"""Pictures whose content says which one they are."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tiny_artifact import HALF_PX, SIDE_PX

DARK = (0, 0, 0, 0)


def encoded(grey: NDArray[np.uint8], picture_format: str = "PNG") -> bytes:
    """The bytes of a picture file; grey is uint8 [H, W]."""
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, picture_format)
    return stream.getvalue()


def quarters(greys: Sequence[int], side_px: int = SIDE_PX) -> bytes:
    """A square PNG whose four quarters, row by row, have these grey values."""
    image = np.array(greys, dtype=np.uint8).reshape(2, 2)
    half_px = side_px // 2
    return encoded(np.repeat(np.repeat(image, half_px, axis=0), half_px, axis=1))


def numbered(number: int) -> bytes:
    """A picture with one bright quarter; the number, 0..399, decides which and how bright."""
    greys = [0, 0, 0, 0]
    greys[number % 4] = 140 + number // 4
    return quarters(greys)


def clean(seed: int = 0, picture_format: str = "PNG") -> bytes:
    """A picture of dim noise: there is no flaw on it, and it can be trusted."""
    noise = np.random.default_rng(seed).integers(20, 60, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    return encoded(noise, picture_format)


def slow_to_decode(side_px: int = 4000) -> bytes:
    """Small to send: a chequered picture of squares of 4 px, which can be trusted and is NotOK."""
    squares = np.array([[180, 220], [220, 180]], dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return encoded(np.tile(squares, (side_px // 8, side_px // 8)))


def expected_score(number: int) -> float:
    """The score that the tiny network gives the `scratch` of that picture."""
    return round((140 + number // 4) / 255, 4)


def truncated() -> bytes:
    """A PNG whose header is fine and whose pixels are cut off."""
    noise = np.random.default_rng(5).integers(0, 256, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    whole = encoded(noise)
    return whole[: len(whole) // 2]


__all__ = [
    "DARK",
    "HALF_PX",
    "clean",
    "encoded",
    "expected_score",
    "numbered",
    "quarters",
    "slow_to_decode",
    "truncated",
]
