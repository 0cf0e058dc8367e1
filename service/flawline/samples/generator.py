"""One frame: bare steel, flaws side by side, and boxes measured from what really changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flawline.samples.errors import FrameSizeError, NoRoomError, UnknownFlawError
from flawline.samples.families.catalogue import CLASS_NAMES, FAMILIES
from flawline.samples.families.stamp import FlawFamily, Stamp
from flawline.samples.fields import Field
from flawline.samples.steel import SteelLook, draw_steel

GENERATOR_VERSION = "1"
MIN_SIDE_PX = 64
MAX_SIDE_PX = 4096
# A pixel belongs to a flaw when the flaw changed it by at least so many grey levels.
VISIBLE_LEVELS = 6

_USUAL_SIDE_PX = 200
_MIN_FLAW_PX = 4
_GAP_PX = 3
_PLACING_TRIES = 24
_SECOND_CLASS_SHARE = 0.12
_PAIRS = {"patches": "inclusion", "scratches": "inclusion", "pitted_surface": "patches"}


@dataclass(frozen=True)
class SampleFrame:
    """A drawn frame with its ground truth.

    grey: uint8 [H, W], 0 black to 255 white.
    clean_grey: uint8 [H, W], the same steel, light and noise without the flaws.
    boxes_xywh: float32 [N, 4], x and y of the top left corner, width, height, in px; each is the
        bounding box of the pixels its flaw changed by VISIBLE_LEVELS or more. Flaws never overlap.
    class_ids: int64 [N], indices into CLASS_NAMES.
    """

    grey: npt.NDArray[np.uint8]
    clean_grey: npt.NDArray[np.uint8]
    boxes_xywh: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Window:
    """Where a flaw is drawn, in px; may reach over the edges of the frame."""

    top: int
    left: int
    height: int
    width: int

    def clear_of(self, other: _Window) -> bool:
        """Whether a gap lies between the two windows."""
        return (
            self.left >= other.left + other.width + _GAP_PX
            or other.left >= self.left + self.width + _GAP_PX
            or self.top >= other.top + other.height + _GAP_PX
            or other.top >= self.top + self.height + _GAP_PX
        )


def generate_frame(
    seed: int | np.random.Generator,
    width_px: int = 200,
    height_px: int = 200,
    flaws: Sequence[str] | None = None,
) -> SampleFrame:
    """Draw one frame; the same seed gives the same bits.

    seed: an int >= 0, or a generator whose state is then advanced.
    flaws: class names, one entry a flaw; None draws one to four of mostly one class, an empty
        sequence a defect-free frame.
    Raises FrameSizeError, UnknownFlawError, NoRoomError (more flaws named than fit).
    """
    check_frame_size(width_px, height_px)
    rng = seed if isinstance(seed, np.random.Generator) else _generator(seed)
    families = _random_families(rng) if flaws is None else [_family(name) for name in flaws]
    host = _host(rng, families)
    look = host.look(rng)
    surface = draw_steel(rng, look, height_px, width_px)
    clean = _quantise(surface)
    boxes: list[tuple[int, int, int, int]] = []
    class_ids: list[int] = []
    taken: list[_Window] = []
    for family in families:
        box = _add_flaw(rng, family, look, surface, taken)
        if box is not None:
            boxes.append(box)
            class_ids.append(CLASS_NAMES.index(family.name))
        elif flaws is not None:
            raise NoRoomError(
                f"{len(families)} flaws do not fit into {width_px}x{height_px} px: "
                "ask for fewer flaws or a larger frame"
            )
    return SampleFrame(
        grey=_quantise(surface),
        clean_grey=clean,
        boxes_xywh=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids, dtype=np.int64),
    )


def check_frame_size(width_px: int, height_px: int) -> None:
    """Raise FrameSizeError unless both sides lie in MIN_SIDE_PX..MAX_SIDE_PX."""
    if not (MIN_SIDE_PX <= width_px <= MAX_SIDE_PX and MIN_SIDE_PX <= height_px <= MAX_SIDE_PX):
        raise FrameSizeError(
            f"cannot draw a frame of {width_px}x{height_px} px: "
            f"each side must be {MIN_SIDE_PX} to {MAX_SIDE_PX} px"
        )


def _generator(seed: int) -> np.random.Generator:
    """PCG64 by name: numpy may change what default_rng means."""
    return np.random.Generator(np.random.PCG64(seed))


def _family(name: str) -> FlawFamily:
    if name not in CLASS_NAMES:
        raise UnknownFlawError(f"no flaw is called {name!r}; known: {', '.join(CLASS_NAMES)}")
    return FAMILIES[CLASS_NAMES.index(name)]


def _random_families(rng: np.random.Generator) -> list[FlawFamily]:
    """One class, as many flaws as its pictures usually show; sometimes one of a second class."""
    family = FAMILIES[int(rng.integers(len(FAMILIES)))]
    most = 2 if family.name == "pitted_surface" else 4
    families = [family] * int(min(most, 1 + rng.poisson(1.1)))
    partner = _PAIRS.get(family.name)
    if partner is not None and rng.random() < _SECOND_CLASS_SHARE:
        families = [*families[:2], _family(partner)]
    return families


def _host(rng: np.random.Generator, families: Sequence[FlawFamily]) -> FlawFamily:
    """The family whose usual steel is drawn; bright scratches need their own dark steel."""
    if not families:
        return FAMILIES[int(rng.integers(len(FAMILIES)))]
    return next((family for family in families if family.name == "scratches"), families[0])


def _add_flaw(
    rng: np.random.Generator,
    family: FlawFamily,
    look: SteelLook,
    surface: Field,
    taken: list[_Window],
) -> tuple[int, int, int, int] | None:
    """Draw a flaw into the surface (in place); its box x, y, w, h, or None if nothing fits."""
    for attempt in range(_PLACING_TRIES):
        window = _place(rng, family, look, surface.shape, shrink=0.88 ** (attempt // 4))
        if not all(window.clear_of(other) for other in taken):
            continue
        rows = slice(max(0, window.top), min(surface.shape[0], window.top + window.height))
        columns = slice(max(0, window.left), min(surface.shape[1], window.left + window.width))
        ground = float(surface[rows, columns].mean())
        if family.follows_strip and not look.vertical:
            stamp = family.draw(rng, window.width, window.height, ground).turned()
        else:
            stamp = family.draw(rng, window.height, window.width, ground)
        before = surface[rows, columns]
        after = _pressed(before, stamp, window)
        box = _changed_box(_quantise(before), _quantise(after))
        if box is None:
            continue
        surface[rows, columns] = after
        taken.append(window)
        x, y, width, height = box
        return x + columns.start, y + rows.start, width, height
    return None


def _place(
    rng: np.random.Generator,
    family: FlawFamily,
    look: SteelLook,
    frame_shape: tuple[int, ...],
    shrink: float,
) -> _Window:
    """A window of the family's usual size; flaws grow with the root of the frame's short side."""
    frame_height, frame_width = frame_shape
    scale = math.sqrt(min(frame_height, frame_width) / _USUAL_SIDE_PX) * shrink
    height, width = family.size(rng)
    if family.follows_strip and not look.vertical:
        height, width = width, height
    height = max(8, min(round(height * scale), round(1.2 * frame_height)))
    width = max(8, min(round(width * scale), round(1.2 * frame_width)))
    top = _start(rng, height, frame_height)
    left = _start(rng, width, frame_width)
    return _Window(top, left, height, width)


def _start(rng: np.random.Generator, length: int, frame_length: int) -> int:
    """Where an extent begins so that most of it, or else the whole frame, is covered."""
    overhang = 0.15 * length
    ends = (-overhang, frame_length - length + overhang)
    return round(rng.uniform(min(ends), max(ends)))


def _pressed(before: Field, stamp: Stamp, window: _Window) -> Field:
    """The surface under the stamp after it was applied; parts outside the frame are cut off."""
    top, left = max(0, -window.top), max(0, -window.left)
    rows, columns = slice(top, top + before.shape[0]), slice(left, left + before.shape[1])
    after: Field = before * stamp.gain[rows, columns] + stamp.offset[rows, columns]
    return after


def _quantise(surface: Field) -> npt.NDArray[np.uint8]:
    """Grey levels rounded to 8 bit; darker and brighter ones are clipped as a camera does."""
    return np.clip(np.rint(surface), 0, 255).astype(np.uint8)


def _changed_box(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]
) -> tuple[int, int, int, int] | None:
    """Bounding box x, y, w, h of visibly changed pixels, None if they make no usable box."""
    changed = np.abs(after.astype(np.int16) - before.astype(np.int16)) >= VISIBLE_LEVELS
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return None
    x, y = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
    return (x, y, width, height) if min(width, height) >= _MIN_FLAW_PX else None
