"""How much of a queue each class of work may take."""

from __future__ import annotations

import pytest

from flawline.core.priority import Priority


@pytest.mark.parametrize("priority", [Priority.INLINE, Priority.REINSPECTION])
def test_what_somebody_waits_for_may_take_all(priority: Priority) -> None:
    assert priority.room_of(7, most_at_once=2) == 7


@pytest.mark.parametrize(
    ("capacity", "most_at_once", "room"),
    [
        (256, 16, 128),
        (5, 1, 3),
        (1, 1, 1),
        (
            28,
            16,
            16,
        ),  # of a line on the edge image: all frames of a part, or it never were accepted
        (16, 16, 14),  # something is left to the urgent
        (8, 16, 7),
        (256, 256, 224),
    ],
)
def test_backfill_takes_half_or_one_whole_request(
    capacity: int, most_at_once: int, room: int
) -> None:
    assert Priority.BACKFILL.room_of(capacity, most_at_once) == room
