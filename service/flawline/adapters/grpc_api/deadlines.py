"""How long an inspection may take when message, call and server each have a word in it."""

from __future__ import annotations

# A call is over for its client at its deadline: the answer sets out before it, to arrive in time.
_JOURNEY_SHARE = 0.1
_LONGEST_JOURNEY_MS = 50.0


def earlier_ms(wish_ms: int | None, default_ms: int, remaining_s: float | None) -> int | None:
    """What message and call allow together, in whole milliseconds; None when neither says anything.

    remaining_s: until the call's own deadline (grpc-timeout), None without one.
    """
    if remaining_s is None:
        return wish_ms
    remaining_ms = remaining_s * 1000
    call_ms = int(remaining_ms - min(_LONGEST_JOURNEY_MS, remaining_ms * _JOURNEY_SHARE))
    return min(default_ms if wish_ms is None else wish_ms, max(1, call_ms))
