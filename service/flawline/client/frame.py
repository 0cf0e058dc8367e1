"""What is sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and what to do with it; what is None is left to the service.

    picture: the file as it is (JPEG, PNG, BMP or TIFF). line: where it was taken. part_id: the serial
    number that the MES knows. recipe: its name. min_score: 0..1, replaces the recipe's thresholds.
    priority: `inline`, `reinspection` or `backfill`. traceparent: W3C trace context.
    """

    picture: bytes
    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    priority: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Several pictures of one part, which get one verdict together; what else is given counts for each, as for a Frame.

    pictures: at least one, and no more than `FLAWLINE_MAX_FRAMES` of the service.
    """

    pictures: tuple[bytes, ...]
    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    priority: str | None = None
    traceparent: str | None = None
