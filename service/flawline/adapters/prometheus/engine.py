"""Metrics of whatever runs an engine: an embedded process, or a worker."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flawline.adapters.prometheus.backlog import Backlog
from flawline.adapters.prometheus.labels import SECONDS
from flawline.application.job import (
    Abandoned,
    Expired,
    Failed,
    JobOutcome,
    Judged,
    PictureRefused,
)

_AT_ONCE = 64  # of some 16 pictures
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_DELIVERIES = (1, 2, 3, 5, 10, 25, 50, 100)
_CUTS = ("full", "deadline", "idle")
_OUTCOMES = {
    Judged: "judged",
    PictureRefused: "refused",
    Failed: "failed",
    Expired: "expired",
    Abandoned: "abandoned",
}


class EngineMetrics:
    """WorkerTelemetry; may be shared by the workers of a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._backlog: Backlog[tuple[Callable[[float], None], float]] = Backlog(
            registry, lambda happened: happened[0](happened[1]), _AT_ONCE
        )
        self._batch_size = Histogram(
            "flawline_batch_size",
            "Pictures given to the engine at once.",
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        cuts = Counter(
            "flawline_batch_cuts",
            "Batches, by why they were no larger: full, one more would have cost a deadline, or the engine was idle.",
            ("reason",),
            registry=registry,
        )
        self._cuts = {reason: cuts.labels(reason) for reason in _CUTS}
        self._runs = Histogram(
            "flawline_engine_run_duration_seconds",
            "Time of one run of the network, whatever the size of its batch; the rate of the sum "
            "is how many run at a time.",
            buckets=SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "flawline_engine_failures",
            "Calls of the engine that failed; a batch that fails is halved and run again.",
            registry=registry,
        )
        self._deliveries = Histogram(
            "flawline_job_deliveries",
            "How often a job had been lent to a worker when work on it began, this time included.",
            buckets=_DELIVERIES,
            registry=registry,
        )
        jobs = Counter(
            "flawline_jobs",
            "Jobs that a worker ended here, by outcome: judged, refused (its pixels are damaged), "
            "failed, expired, abandoned.",
            ("outcome",),
            registry=registry,
        )
        self._jobs = {kind: jobs.labels(word) for kind, word in _OUTCOMES.items()}

    def batch_ran(self, size: int, cut_because: str) -> None:
        """Note the size of a batch, and why it was no larger."""
        self._backlog.add((self._batch_size.observe, size))
        self._backlog.add((self._cuts[cut_because].inc, 1))

    def engine_called(self, duration_s: float, failed: bool) -> None:
        """Note how long a call of the engine took."""
        self._backlog.add((self._runs.observe, duration_s))
        if failed:
            self._backlog.add((self._failures.inc, 1))

    def job_taken(self, deliveries: int) -> None:
        """Note how often the job was lent."""
        self._backlog.add((self._deliveries.observe, deliveries))

    def job_resolved(self, outcome: JobOutcome) -> None:
        """Count a job that was ended."""
        self._backlog.add((self._jobs[type(outcome)].inc, 1))

    def watch(
        self,
        in_hand: Callable[[], float],
        busy_s: Callable[[], float],
        failing: Callable[[], float],
    ) -> None:
        """Ask the workers for their state whenever the metrics are read."""
        for name, says, read in (
            ("flawline_jobs_in_hand", "Jobs taken by the workers here and not yet ended.", in_hand),
            (
                "flawline_engine_busy_seconds",
                "How long the engine's oldest open call has lasted since its turn, with decoding before and judging "
                "after the network; 0 while it is idle. Past "
                "FLAWLINE_ENGINE_STALL_S the engine counts as stuck.",
                busy_s,
            ),
            (
                "flawline_engine_failing",
                "1 while an engine here fails on an empty frame too, and takes no jobs.",
                failing,
            ),
        ):
            Gauge(name, says, registry=self._registry).set_function(read)
