"""One frame: bare steel, flaws side by side, and boxes measured from what really changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flawline.samples.errors import FrameSizeError, NoRoomError, SeedError, UnknownFlawError
from flawline.samples.families.catalogue import CLASS_NAMES, FAMILIES
from flawline.samples.families.stamp import FlawFamily
from flawline.samples.sheet import Sheet

GENERATOR_VERSION = "1"
MIN_SIDE_PX = 64
MAX_SIDE_PX = 4096

_SECOND_CLASS_SHARE = 0.12
_PAIRS = {"patches": "inclusion", "scratches": "inclusion", "pitted_surface": "patches"}


@dataclass(frozen=True)
class SampleFrame:
    """A drawn frame with its ground truth.

    grey: uint8 [H, W], 0 black to 255 white.
    clean_grey: uint8 [H, W], the same steel, light and noise without the flaws.
    boxes_xywh: float32 [N, 4], x and y of the top left corner, width, height, in px; each is the
        bounding box of the pixels its flaw changed by sheet.VISIBLE_LEVELS or more. Flaws never overlap.
    class_ids: int64 [N], indices into CLASS_NAMES.
    """

    grey: npt.NDArray[np.uint8]
    clean_grey: npt.NDArray[np.uint8]
    boxes_xywh: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]


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
    Raises FrameSizeError, SeedError, UnknownFlawError, NoRoomError (more flaws named than fit).
    """
    check_frame_size(width_px, height_px)
    rng = seed if isinstance(seed, np.random.Generator) else _generator(seed)
    families = _random_families(rng) if flaws is None else [_family(name) for name in flaws]
    sheet = Sheet(rng, _host(rng, families).look(rng), height_px, width_px)
    clean = sheet.picture()
    boxes: list[tuple[int, int, int, int]] = []
    class_ids: list[int] = []
    for family in families:
        box = sheet.press(family)
        if box is not None:
            boxes.append(box)
            class_ids.append(CLASS_NAMES.index(family.name))
        elif flaws is not None:
            raise NoRoomError(
                f"{len(families)} flaws do not fit into {width_px}x{height_px} px: "
                "ask for fewer flaws or a larger frame"
            )
    return SampleFrame(
        grey=sheet.picture(),
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
    if seed < 0:
        raise SeedError(f"the seed is {seed}: it must be 0 or more")
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
