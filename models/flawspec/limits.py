"""What a picture may cost. Here no codec is loaded, so that limits can be set where nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass

HIGHEST_MAX_PIXELS = 89_000_000
"""Above about this Pillow warns of TIFF files on its own account."""


@dataclass(frozen=True)
class DecodeLimits:
    """What a picture may cost. Raises ValueError for limits that cannot be kept."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    min_side_px: int = 16

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.min_side_px < 1:
            raise ValueError("max_bytes and min_side_px must be at least 1")
        if not 1 <= self.max_pixels <= HIGHEST_MAX_PIXELS:
            raise ValueError(f"max_pixels must be from 1 to {HIGHEST_MAX_PIXELS}")
