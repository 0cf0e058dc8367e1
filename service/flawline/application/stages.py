"""The pipeline's stages for one job, timed. Any thread may make these calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.application.job import Job, Judged, Lease
from flawline.application.ports import Clock
from flawline.application.taken import Taken
from flawline.application.traces import Trail
from flawline.core.pipeline import InspectionPipeline
from flawline.core.preprocess import View
from flawline.core.quality import FrameLimits, FrameQuality, measure
from flawline.core.recipe import RecipeBook
from flawline.core.values import ModelRef, RawOutput, Reason, Verdict


class TooLate(Exception):  # noqa: N818 - an ordinary turn of events, caught by the worker
    """The deadline passed before any work was done."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture that is ready to run, and what it went through so far.

    images: the tiles of a frame that was cut, uint8 [tiles, 1, input height, input width]; None where the whole frame
    lies in the picture's place in the batch.
    """

    lease: Lease
    trail: Trail
    views: tuple[View, ...]
    quality: FrameQuality | None = None
    images: NDArray[np.uint8] | None = None


class Stages:
    """What happens to a picture before and after the engine; frame_limits: None measures no frame."""

    def __init__(
        self,
        pipeline: InspectionPipeline,
        recipes: RecipeBook,
        model: ModelRef,
        clock: Clock,
        frame_limits: FrameLimits | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._recipes = recipes
        self._model = model
        self._clock = clock
        self._frame_limits = frame_limits

    def images(self, count: int) -> NDArray[np.uint8]:
        """Memory for so many pictures, uint8 [count, 1, input height, input width]."""
        return self._pipeline.images(count)

    def now_s(self) -> float:
        """On the clock that stages are timed by."""
        return self._clock.monotonic_s()

    def taken(self, lease: Lease) -> Taken:
        """A picture that is to be prepared later, and what it will need."""
        return Taken(lease, Trail(self._clock.monotonic_s), self._pipeline.rows(lease.job.picture))

    def prepare(self, lease: Lease, trail: Trail, pixels: NDArray[np.uint8]) -> Prepared | Judged:
        """Decode the picture and place it in `pixels`, uint8 [1, input height, input width], unless it is cut.

        A frame that no verdict can rest on is judged here, NotDecidable: the engine need not see it.

        Raises TooLate, or flawspec's PictureError.
        """
        taken_up_s = self._clock.monotonic_s()
        trail.add("queue", lease.job.submitted_s, taken_up_s)
        if taken_up_s >= lease.job.deadline_s:
            raise TooLate
        with trail.stage("decode"):
            grey = self._pipeline.decode(lease.job.picture)
        with trail.stage("preprocess"):
            quality = None if self._frame_limits is None else measure(grey)
            fault = self._fault(quality)
            if fault is None:
                tiles = self._pipeline.tiles(grey)
                own = self._pipeline.images(len(tiles)) if len(tiles) > 1 else None
                images = pixels[np.newaxis] if own is None else own
                views = self._pipeline.view(grey, tiles, images)
                return Prepared(lease, trail, views, quality, own)
        return self._undecidable(lease.job, fault, quality, trail)

    def inferred(self, pictures: Sequence[Prepared], started_s: float) -> None:
        """These were in the engine together, from that moment until now, and waited for it before."""
        ended_s = self._clock.monotonic_s()
        for picture in pictures:
            picture.trail.add("queue", picture.trail.ended_s, started_s)
            picture.trail.add("inference", started_s, ended_s)

    def finish(self, picture: Prepared, output: RawOutput) -> Judged:
        """The verdict on one picture from its own rows of the output ([V, A, 4] and [V, A, C]).

        Raises UnusableOutput.
        """
        job = picture.lease.job
        recipe = self._recipes.find(job.recipe).with_min_score(job.min_score)
        with picture.trail.stage("postprocess"):
            judgement = self._pipeline.judge_views(
                output.boxes_xyxy, output.scores, picture.views, recipe
            )
        return Judged(
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            detections=judgement.detections,
            recipe=recipe.ref,
            model=self._model,
            times=picture.trail.times(),
            quality=picture.quality,
        )

    def _fault(self, quality: FrameQuality | None) -> Reason | None:
        if self._frame_limits is None or quality is None:
            return None
        return self._frame_limits.fault(quality)

    def _undecidable(
        self, job: Job, fault: Reason, quality: FrameQuality | None, trail: Trail
    ) -> Judged:
        recipe = self._recipes.find(job.recipe).with_min_score(job.min_score)
        return Judged(
            verdict=Verdict.NOT_DECIDABLE,
            reasons=(fault,),
            detections=(),
            recipe=recipe.ref,
            model=self._model,
            times=trail.times(),
            quality=quality,
        )
