"""How often each model was asked and how long it took, since the process began."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from flawline.core.values import Inspection, ModelRef, StageTimes, Verdict


@dataclass(slots=True)
class Tally:
    """So many of something, and the nanoseconds that they took together."""

    count: int = 0
    ns: int = 0

    def add(self, duration_ms: float) -> None:
        """One more."""
        self.count += 1
        self.ns += round(duration_ms * 1e6)


@dataclass(slots=True)
class ModelFigures:
    """One model's figures.

    inferences: pictures that were evaluated. executions: batches that the engine ran; in `batches`
    by size. A picture's (or raw request's) own time is in `success` or `fail`, its parts in the
    four stages: waiting; decoding and placing; the network, for as long as its whole batch took;
    judging.
    """

    last_inference: datetime | None = None
    inferences: int = 0
    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute_input: Tally = field(default_factory=Tally)
    compute_infer: Tally = field(default_factory=Tally)
    compute_output: Tally = field(default_factory=Tally)
    batches: dict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))

    @property
    def executions(self) -> int:
        """Batches that the engine ran."""
        return sum(tally.count for tally in self.batches.values())

    def succeeded(
        self, pictures: int, total_ms: float, times: StageTimes, moment: datetime
    ) -> None:
        """One request for so many pictures was evaluated."""
        self.last_inference = moment
        self.inferences += pictures
        self.success.add(total_ms)
        self.queue.add(times.queue_ms)
        self.compute_input.add(times.decode_ms + times.preprocess_ms)
        self.compute_infer.add(times.inference_ms)
        self.compute_output.add(times.postprocess_ms)

    def executed(self, size: int, duration_s: float) -> None:
        """The engine ran a batch."""
        self.batches[size].add(duration_s * 1000)


class Statistics:
    """Figures by model; two sets: `inspections` of pictures, `raw` runs of the network by itself."""

    def __init__(self) -> None:
        self._inspections: dict[ModelRef, ModelFigures] = defaultdict(ModelFigures)
        self._raw: dict[ModelRef, ModelFigures] = defaultdict(ModelFigures)

    def inspections(self, model: ModelRef) -> ModelFigures:
        """What inspecting with that model took."""
        return self._inspections[model]

    def raw(self, model: ModelRef) -> ModelFigures:
        """What running that network by itself took."""
        return self._raw[model]

    def inspected(self, inspection: Inspection) -> None:
        """An inspection was answered; one without a verdict has failed."""
        figures = self._inspections[inspection.model]
        times = inspection.processing_times
        if inspection.verdict is Verdict.UNDEFINED:
            figures.fail.add(times.total_ms)
            return
        stages = StageTimes(
            queue_ms=times.queue_ms,
            decode_ms=times.decode_ms,
            preprocess_ms=times.preprocess_ms,
            inference_ms=times.inference_ms,
            postprocess_ms=times.postprocess_ms,
        )
        figures.succeeded(1, times.total_ms, stages, inspection.created_at)
