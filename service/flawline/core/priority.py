"""Which work goes first, and what keeps the rest from starving."""

from __future__ import annotations

from enum import Enum


class Priority(str, Enum):
    """Classes of work, the most urgent first; the value is the word that callers use."""

    INLINE = "inline"  # a part waits at the gate
    REINSPECTION = "reinspection"  # a person waits
    BACKFILL = "backfill"  # nobody waits

    @property
    def urgency(self) -> int:
        """0 for the most urgent class, 1 for the next."""
        return _BY_URGENCY.index(self)

    def room_of(self, capacity: int, most_at_once: int = 1) -> int:
        """While fewer than so many wait, one of this class is taken in.

        Backfill leaves half of it to the others. Where a request may bring more than that (`most_at_once`), whose
        pictures are accepted together or not at all, it leaves less, but an eighth at least.
        """
        if self is not Priority.BACKFILL:
            return capacity
        return max((capacity + 1) // 2, min(capacity - max(1, capacity // 8), most_at_once))


# One job in eight goes to the lower classes, by turns, however much inline work there is.
TURNS = 16
_BY_URGENCY = tuple(Priority)
_GUARDED = {
    7: (Priority.REINSPECTION, Priority.BACKFILL, Priority.INLINE),
    15: (Priority.BACKFILL, Priority.REINSPECTION, Priority.INLINE),
}


def order_at(turn: int) -> tuple[Priority, ...]:
    """The classes in the order in which the job number `turn` is looked for."""
    return _GUARDED.get(turn % TURNS, _BY_URGENCY)
