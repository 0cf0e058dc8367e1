"""What happened and is not counted yet: counted soon, and before the metrics are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

T = TypeVar("T")


class Backlog(Collector, Generic[T]):
    """Counts several at once: the first alone has to fetch the code, which the network has pushed out of the caches.

    Made before the metrics that `count` moves: a registry asks its collectors in the order in which they were made, and
    this one has nothing to show but does then what is left to do.
    """

    def __init__(
        self, registry: CollectorRegistry, count: Callable[[T], Any], at_once: int
    ) -> None:
        self._count = count
        self._at_once = at_once
        self._uncounted: deque[T] = deque()
        registry.register(self)

    def add(self, happened: T) -> None:
        """Count it, soon."""
        self._uncounted.append(happened)
        if len(self._uncounted) >= self._at_once:
            self.collect()

    def describe(self) -> Iterable[Metric]:
        """None."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """None: counts what is left. A worker's metrics are read in threads of their own, while it adds."""
        while True:
            # To ask first whether there is one would leave another thread time to take it.
            try:
                happened = self._uncounted.popleft()
            except IndexError:
                return ()
            self._count(happened)
