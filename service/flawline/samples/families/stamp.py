"""The shape in which every family hands over a drawn flaw, and what a family is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flawline.samples.fields import Field, Floats, as_field
from flawline.samples.steel import SteelLook

# Flaws on their own steel are as deep as real ones and seldom need this; on the steel of another
# class, which may be far coarser, they would drown.
_CLEAR_OF_NOISE = 2.2


@dataclass(frozen=True)
class Stamp:
    """A flaw as a change of grey levels: surface -> surface * gain + offset.

    gain, offset: float32 [H, W]; 1 and 0 where the steel stays as it is.
    """

    gain: Field
    offset: Field

    @classmethod
    def added(cls, offset: Floats) -> Stamp:
        """A flaw that only adds (or, negative, takes away) grey levels."""
        return cls(np.ones(offset.shape, dtype=np.float32), as_field(offset))

    def turned(self) -> Stamp:
        """The same flaw with its axes exchanged."""
        return Stamp(np.ascontiguousarray(self.gain.T), np.ascontiguousarray(self.offset.T))


@dataclass(frozen=True)
class Ground:
    """The steel under a flaw: its mean level and the deviation of its texture, in grey levels."""

    level: float
    noise: float

    def step(self, share: float, least: float) -> float:
        """A share of the steel's level, but at least so many levels, and clear of its texture."""
        return max(least, share * self.level, _CLEAR_OF_NOISE * self.noise)


class FlawFamily(Protocol):
    """One class of flaws."""

    @property
    def name(self) -> str:
        """The class name, as in NEU-DET."""

    @property
    def follows_strip(self) -> bool:
        """Whether such flaws lie along the rolling direction and turn with it."""

    def look(self, rng: np.random.Generator) -> SteelLook:
        """A sheet as it usually looks where such flaws occur."""

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """(height, width) in px on a 200x200 frame of steel rolled top to bottom."""

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        """A flaw that fills about height x width px on the given steel."""
