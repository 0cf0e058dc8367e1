"""How long a caller should stay away from a full queue."""

from __future__ import annotations

RATE_WINDOW = 64
"""On how many of the last outcomes the rate is measured."""
UNMEASURED_RETRY_S = 1.0
_MIN_RETRY_S = 0.1
_MAX_RETRY_S = 30.0


def retry_after_s(waiting: int, outcomes: int, elapsed_s: float) -> float:
    """When, at the rate of the last outcomes, all that waits now will have been taken.

    outcomes: how many there were in the last `elapsed_s` seconds, counted up to now, so that a
    worker which has stopped shows as slow.
    """
    if not outcomes:
        return UNMEASURED_RETRY_S
    return min(max(waiting * elapsed_s / outcomes, _MIN_RETRY_S), _MAX_RETRY_S)
