"""How frames are cut that show more surface than the model was trained on."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from flawline.core.tiling import Tiling


class TilingSettings(BaseSettings):
    """The part of FlawlineSettings that fits frames to what the model learned."""

    tile_px: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$",
        description="Width x height, in a frame's pixels, of the tiles that larger frames are cut into, as in "
        "`200x200`: as much surface as a picture showed that the model was trained on. Without, frames stay whole.",
    )
    tile_overlap: float = Field(
        0.2,
        ge=0,
        le=0.75,
        description="Least share of a tile's side that neighbours have in common; a flaw of at most so much is whole "
        "on one of them.",
    )

    @property
    def tiling(self) -> Tiling | None:
        """How frames are cut; None: they are not."""
        if self.tile_px is None:
            return None
        width_px, height_px = map(int, self.tile_px.split("x"))
        return Tiling(width_px, height_px, self.tile_overlap)
