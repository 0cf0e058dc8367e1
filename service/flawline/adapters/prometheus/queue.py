"""Metrics of the queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from flawline.core.priority import Priority


class QueueMetrics:
    """How the queue stands, asked whenever the metrics are read, and what happened to its jobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._events: Counter | None = None

    def watch(
        self,
        depth: Callable[[Priority], float],
        oldest_age_s: Callable[[Priority], float],
        capacity: int,
    ) -> None:
        """The queue's length by class, and how long it may become."""
        for name, says, read in (
            ("flawline_queue_depth", "Pictures waiting for a worker.", depth),
            (
                "flawline_queue_oldest_age_seconds",
                "How long the oldest waiting picture has waited.",
                oldest_age_s,
            ),
        ):
            gauge = Gauge(name, says, ("priority",), registry=self._registry)
            for priority in Priority:
                gauge.labels(priority.value).set_function(partial(read, priority))
        Gauge("flawline_queue_capacity", "Pictures that may wait.", registry=self._registry).set(
            capacity
        )

    def event(self, event: str, count: int) -> None:
        """Count what happened to jobs of the shared queue, once that is watched."""
        if self._events is not None:
            self._events.labels(event).inc(count)

    def watch_shared(
        self,
        leased: Callable[[], float],
        dead_letters: Callable[[], float],
        reachable: Callable[[], float],
    ) -> None:
        """What a queue between processes has besides."""
        self._events = Counter(
            "flawline_queue_events",
            "Jobs of the shared queue, by what happened to them.",
            ("event",),
            registry=self._registry,
        )
        for name, says, read in (
            ("flawline_queue_leased", "Pictures that workers hold.", leased),
            ("flawline_queue_dead_letters", "Jobs kept because they failed.", dead_letters),
            ("flawline_queue_reachable", "1 while the shared queue answers.", reachable),
        ):
            Gauge(name, says, registry=self._registry).set_function(read)

    def watch_fallback(self, active: Callable[[], float]) -> None:
        """1 while pictures are inspected here, because the shared queue is away."""
        Gauge(
            "flawline_queue_fallback_active",
            "1 while the api inspects by itself, because the shared queue is away.",
            registry=self._registry,
        ).set_function(active)
