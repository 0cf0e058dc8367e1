"""Pressing flaws into a sheet: what cannot be seen is not a flaw, and steel can be plain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from flawline.samples.families.stamp import Ground, Stamp
from flawline.samples.sheet import VISIBLE_LEVELS, Sheet
from flawline.samples.steel import SteelLook, draw_steel


@dataclass(frozen=True)
class _Block:
    """A change of so many grey levels in every pixel, or in every n-th row and column."""

    levels: float
    every: int = 1
    name: str = "block"
    follows_strip: bool = True

    def look(self, rng: np.random.Generator) -> SteelLook:
        return SteelLook(mean=100.0)

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        return 60, 40

    def draw(self, rng: np.random.Generator, height: int, width: int, ground: Ground) -> Stamp:
        offset = np.zeros((height, width), dtype=np.float32)
        offset[:: self.every, :: self.every] = self.levels
        return Stamp.added(offset)


def _rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(3))


def _sheet(vertical: bool = True) -> Sheet:
    return Sheet(_rng(), SteelLook(mean=100.0, vertical=vertical), 400, 400)


def test_a_visible_block_is_boxed() -> None:
    sheet = _sheet()
    before = sheet.picture().astype(int)
    box = sheet.press(_Block(levels=VISIBLE_LEVELS + 2))
    assert box is not None
    x, y, width, height = box
    changed = np.abs(sheet.picture().astype(int) - before) >= VISIBLE_LEVELS
    assert changed[y : y + height, x : x + width].all()
    assert changed.sum() == width * height
    assert height > width


def test_a_block_turns_with_the_strip() -> None:
    box = _sheet(vertical=False).press(_Block(levels=40.0))
    assert box is not None
    assert box[2] > box[3]


@pytest.mark.parametrize(
    "block", [_Block(levels=2.0), _Block(40.0, every=20), _Block(40.0, every=500)]
)
def test_what_cannot_be_seen_is_not_drawn(block: _Block) -> None:
    sheet = _sheet()
    before = sheet.picture()
    assert sheet.press(block) is None
    assert np.array_equal(sheet.picture(), before)


def test_plain_steel_is_grain_on_its_level() -> None:
    surface = draw_steel(_rng(), SteelLook(mean=120.0, grain=3.0), 200, 200)
    assert surface.dtype == np.float32
    assert surface.mean() == pytest.approx(120.0, abs=0.5)
    assert surface.std() == pytest.approx(3.0, abs=0.3)


def test_streaks_run_along_the_strip_unless_across() -> None:
    def roughness(across: bool) -> tuple[float, float]:
        look = SteelLook(mean=100.0, grain=0.1, streaks=5.0, streaks_across=across)
        surface = draw_steel(_rng(), look, 200, 200)
        down, right = np.abs(np.diff(surface, axis=0)), np.abs(np.diff(surface, axis=1))
        return float(down.mean()), float(right.mean())

    down, right = roughness(across=False)
    assert right > 2 * down
    down, right = roughness(across=True)
    assert down > 2 * right


def test_a_flaw_is_deeper_on_coarse_steel() -> None:
    smooth, coarse = Ground(level=100.0, noise=2.0), Ground(level=100.0, noise=30.0)
    assert smooth.step(0.2, least=10.0) == pytest.approx(20.0)
    assert smooth.step(0.05, least=10.0) == pytest.approx(10.0)
    assert coarse.step(0.2, least=10.0) > 60.0
