"""All families in the order of NEU-DET's class ids."""

from __future__ import annotations

from flawline.samples.families.crazing import Crazing
from flawline.samples.families.inclusion import Inclusion
from flawline.samples.families.patches import Patches
from flawline.samples.families.pitted import PittedSurface
from flawline.samples.families.rolled_in_scale import RolledInScale
from flawline.samples.families.scratches import Scratches
from flawline.samples.families.stamp import FlawFamily

FAMILIES: tuple[FlawFamily, ...] = (
    Crazing(),
    Inclusion(),
    Patches(),
    PittedSurface(),
    RolledInScale(),
    Scratches(),
)

CLASS_NAMES: tuple[str, ...] = tuple(family.name for family in FAMILIES)
