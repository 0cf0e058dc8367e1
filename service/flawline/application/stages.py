"""The pipeline's stages for one job, timed. Each is one call that a worker's thread makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.application.job import Judged, Lease
from flawline.application.ports import Clock
from flawline.core.batching import FrameRows
from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import RecipeBook
from flawline.core.values import ModelRef, RawOutput, StageTimes
from flawspec.letterbox import Letterbox


class TooLate(Exception):  # noqa: N818 - an ordinary turn of events, caught by the worker
    """The deadline passed before any work was done."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture in its row, ready to run; the moments of its way there are monotonic seconds."""

    lease: Lease
    row: int
    letterbox: Letterbox
    taken_up_s: float
    decoded_s: float
    placed_s: float


class Stages:
    """What happens to a picture before and after the engine."""

    def __init__(
        self, pipeline: InspectionPipeline, recipes: RecipeBook, model: ModelRef, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._recipes = recipes
        self._model = model
        self._clock = clock

    def rows(self, count: int) -> FrameRows:
        """Memory for that many pictures."""
        return self._pipeline.rows(count)

    def prepare(self, lease: Lease, row: int, pixels: NDArray[np.uint8]) -> Prepared:
        """Decode the picture and place it in its row.

        row: its number. pixels: the row itself, uint8 [1, input height, input width].

        Raises TooLate, or flawspec's PictureError.
        """
        taken_up_s = self._clock.monotonic_s()
        if taken_up_s >= lease.job.deadline_s:
            raise TooLate
        grey = self._pipeline.decode(lease.job.picture)
        decoded_s = self._clock.monotonic_s()
        letterbox = self._pipeline.place(grey, pixels)
        return Prepared(lease, row, letterbox, taken_up_s, decoded_s, self._clock.monotonic_s())

    def finish(
        self, picture: Prepared, output: RawOutput, started_s: float, ended_s: float
    ) -> Judged:
        """The verdict on one picture from its own row of the output ([A, 4] and [A, C]).

        started_s, ended_s: when its batch was in the engine. Raises UnusableOutput.
        """
        begun_s = self._clock.monotonic_s()
        job = picture.lease.job
        recipe = self._recipes.find(job.recipe).with_min_score(job.min_score)
        judgement = self._pipeline.judge(
            output.boxes_xyxy, output.scores, picture.letterbox, recipe
        )
        waited_s = (picture.taken_up_s - job.submitted_s) + (started_s - picture.placed_s)
        times = StageTimes(
            queue_ms=waited_s * 1000,
            decode_ms=(picture.decoded_s - picture.taken_up_s) * 1000,
            preprocess_ms=(picture.placed_s - picture.decoded_s) * 1000,
            inference_ms=(ended_s - started_s) * 1000,
            postprocess_ms=(self._clock.monotonic_s() - begun_s) * 1000,
        )
        return Judged(
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            detections=judgement.detections,
            recipe=recipe.ref,
            model=self._model,
            times=times,
        )
