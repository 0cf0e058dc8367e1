"""The memory that requests may take together, whichever protocol brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flawline.core.errors import QueueFull

# When the memory is full: about the time in which the next request leaves again.
_RETRY_AFTER_S = 1.0


class RequestRoom:
    """At most `most_bytes` of requests that arrive or wait for their answer at a time.

    The largest requests take all the room: they are let in one at a time.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = self._free_bytes = most_bytes

    @contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Room for so many bytes while the block runs. Raises QueueFull when there is none."""
        wanted = min(count, self._most_bytes)
        if wanted > self._free_bytes:
            raise QueueFull(_RETRY_AFTER_S)
        self._free_bytes -= wanted
        try:
            yield
        finally:
            self._free_bytes += wanted
