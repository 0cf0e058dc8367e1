"""One batch on its way through the stages, on the engine's thread: no picture waits for a change of threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.application.failures import failure_of
from flawline.application.job import Expired, JobOutcome, Lease, PictureRefused
from flawline.application.ports import NothingToRun
from flawline.application.stages import Prepared, Stages, TooLate
from flawline.application.taken import Batch, Taken
from flawline.application.traces import Trail
from flawline.core.values import RawOutput
from flawspec.errors import PictureError


@dataclass(frozen=True, slots=True)
class Ended:
    """A picture that needs no more work."""

    lease: Lease
    trail: Trail
    outcome: JobOutcome


class BatchRun:
    """Prepares the pictures, and judges those that the engine ran: all of them, or parts.

    cut: which pictures; asked once it is the run's turn. images: memory for the batch, uint8 [N or more, 1, input
    height, input width]. ended: told of the pictures that are not to be run, before the others are; from the engine's
    thread. spread: threads that prepare beside each other; without them one picture is prepared after the other.

    Attributes:
        because: why no more pictures run.
        prepared: those to run, in the order of the images.
        prepare_s: how long preparing took, in the mean of the pictures; None before.
        largest_bytes: of the pictures as they came.
    """

    def __init__(
        self,
        stages: Stages,
        cut: Callable[[], Batch],
        images: NDArray[np.uint8],
        ended: Callable[[list[Ended]], object],
        spread: Executor | None = None,
    ) -> None:
        self._stages = stages
        self._cut = cut
        self._pictures: Sequence[Taken] = ()
        self._images = images
        self._spread = spread
        self._began_s = 0.0
        self._tell_ended = ended
        self.because = "idle"
        self.prepare_s: float | None = None
        self.largest_bytes = 0
        self.prepared: list[Prepared] = []

    def prepare(self) -> NDArray[np.uint8]:
        """Cut the batch; images of all pictures that are to be run; raises NothingToRun when none is."""
        batch = self._cut()
        self._pictures, self.because = batch.run, batch.because
        if batch.expired:  # before anything may fail: they are no part of what does
            self._tell_ended([Ended(late.lease, late.trail, Expired()) for late in batch.expired])
        started_s, ended = self._stages.now_s(), []
        for number, one in enumerate(self._all_prepared()):
            if isinstance(one, Ended):
                ended.append(one)
                continue
            # The place of one that is not run; tiles lie elsewhere.
            if one.images is None and number != len(self.prepared):
                self._images[len(self.prepared)] = self._images[number]
            self.prepared.append(one)
        if self._pictures:
            self.prepare_s = (self._stages.now_s() - started_s) / len(self._pictures)
            self.largest_bytes = max(len(one.lease.job.picture) for one in self._pictures)
        if ended:
            self._tell_ended(ended)
        if not self.prepared:
            raise NothingToRun
        return self.again(range(len(self.prepared)))

    def again(self, part: range) -> NDArray[np.uint8]:
        """Images of a part of those that were prepared."""
        pictures = self.prepared[part.start : part.stop]
        images = self._images[part.start : part.stop]
        if any(picture.images is not None for picture in pictures):
            rows = zip(pictures, images, strict=True)
            several = [row[np.newaxis] if p.images is None else p.images for p, row in rows]
            images = several[0] if len(several) == 1 else np.concatenate(several)
        self._began_s = self._stages.now_s()
        return images

    def judge(self, part: range | None, output: RawOutput) -> list[Ended]:
        """The outcomes of a part that was run, None for all that was prepared."""
        pictures = self._part(part)
        self._stages.inferred(pictures, self._began_s)
        ended, start = [], 0
        for picture in pictures:
            rows = slice(start, start + len(picture.views))
            own = RawOutput(output.boxes_xyxy[rows], output.scores[rows])
            ended.append(self._judged(picture, own))
            start = rows.stop
        return ended

    def failed(self, part: range | None) -> Sequence[Prepared | Taken]:
        """Those of a part on which the engine failed; all as they were taken, if it failed before any was prepared."""
        if not self.prepared:
            return self._pictures
        pictures = self._part(part)
        self._stages.inferred(pictures, self._began_s)
        return pictures

    @property
    def image(self) -> NDArray[np.uint8]:
        """Of the shape that the engine takes, uint8 [1, 1, input height, input width]."""
        return self._images[:1]

    def _part(self, part: range | None) -> Sequence[Prepared]:
        return self.prepared if part is None else self.prepared[part.start : part.stop]

    def _all_prepared(self) -> list[Prepared | Ended]:
        pairs = list(zip(self._pictures, self._images, strict=False))
        if self._spread is None or len(pairs) == 1:
            return [self._prepared(*pair) for pair in pairs]
        begun: list[Future[Prepared | Ended]] = []
        try:
            begun.extend(self._spread.submit(self._prepared, *pair) for pair in pairs)
        finally:
            # Also when one does not begin, for want of threads: none may write into the memory of the next batch.
            found = [future.result() for future in begun]
        return found

    def _prepared(self, picture: Taken, pixels: NDArray[np.uint8]) -> Prepared | Ended:
        lease, trail = picture.lease, picture.trail
        outcome: JobOutcome
        try:
            prepared = self._stages.prepare(lease, trail, pixels)
        except TooLate:
            outcome = Expired()
        except PictureError as error:
            outcome = PictureRefused(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - logged, and only this picture pays
            outcome = failure_of(lease, "prepare", error)
        else:
            if isinstance(prepared, Prepared):
                return prepared
            outcome = prepared
        return Ended(lease, trail, outcome)

    def _judged(self, picture: Prepared, output: RawOutput) -> Ended:
        outcome: JobOutcome
        try:
            outcome = self._stages.finish(picture, output)
        except Exception as error:  # noqa: BLE001 - logged, and only this picture pays
            outcome = failure_of(picture.lease, "postprocess", error)
        return Ended(picture.lease, picture.trail, outcome)
