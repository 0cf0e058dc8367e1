"""The memory that requests may take together, whichever protocol brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flawline.core.errors import QueueFull

# When the memory is full: about the time in which the next request leaves again.
_RETRY_AFTER_S = 1.0
_FULL = "The bodies of open requests take all of FLAWLINE_MAX_OPEN_BYTES on the server"


class Reserved:
    """The room that one request has; where it takes more than it said it would, it asks for more."""

    def __init__(self, room: RequestRoom) -> None:
        self._room = room
        self.bytes = 0

    def reach(self, count: int) -> None:
        """Have room for so many bytes altogether. Raises QueueFull when there is none."""
        more = min(count, self._room.most_bytes) - self.bytes
        if more > self._room.free_bytes:
            raise QueueFull(_RETRY_AFTER_S, _FULL)
        if more > 0:
            self._room.free_bytes -= more
            self.bytes += more


class RequestRoom:
    """At most `most_bytes` of requests that arrive or wait for their answer at a time.

    The largest requests take all the room: they are let in one at a time.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = self.free_bytes = most_bytes

    @contextmanager
    def reserved(self, count: int) -> Iterator[Reserved]:
        """Room for so many bytes, or more, while the block runs. Raises QueueFull when there is none."""
        reserved = Reserved(self)
        try:
            reserved.reach(count)
            yield reserved
        finally:
            self.free_bytes += reserved.bytes
