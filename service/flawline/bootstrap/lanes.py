"""Lanes of this process: made for artifacts, and measured as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.memory_queue import MemoryQueue
from flawline.adapters.prometheus import EngineMetrics, show_engine
from flawline.application.lane import Lane
from flawline.application.shared_engine import SharedEngine
from flawline.application.stages import Stages
from flawline.bootstrap.parts import Base, recipes_of


class LaneMaker:
    """Makes a lane for an artifact; `watch` says which of them there are."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._metrics = EngineMetrics(base.registry)

    def lane(self, artifact: ArtifactFile) -> Lane:
        """That artifact with a queue of its own and all else that inspects by it, not yet loaded."""
        base, settings, info = self._base, self._base.settings, artifact.info()
        recipes = recipes_of(artifact, settings)
        pipeline = base.pipeline(artifact)
        queue = MemoryQueue(
            settings.queue_capacity,
            base.clock,
            line_capacity=settings.most_of_one_line,
            most_at_once=settings.max_frames,
            max_deliveries=settings.max_deliveries,
        )
        engine = SharedEngine(base.engine(artifact), base.clock, base.batches)
        counted = engine.counted(base.statistics.inspections(info.ref).executed)
        stages = Stages(pipeline, recipes, info.ref, base.clock, settings.frame_limits)
        worker = base.worker(queue, counted, stages, self._metrics)
        return Lane(info, recipes, pipeline, queue, engine, worker)

    def watch(self, lanes: Callable[[], Sequence[Lane]]) -> None:
        """Show the state of all that there are, whenever the metrics are read."""
        settings = self._base.settings
        show_engine(
            self._base.registry,
            settings.engine_device,
            settings.engine_threads,
            lambda: any(lane.engine.fell_back for lane in lanes()),
        )
        self._metrics.watch(
            lambda: float(sum(lane.worker.jobs_in_hand for lane in lanes())),
            lambda: max(lane.worker.engine_busy_s for lane in lanes()),
            lambda: float(any(lane.worker.fault() == "engine_failing" for lane in lanes())),
        )
