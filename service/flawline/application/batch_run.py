"""One batch on its way through the stages, on the engine's thread: no picture waits for a change of threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawline.application.failures import failure_of
from flawline.application.job import Expired, JobOutcome, Lease, PictureRefused
from flawline.application.ports import NothingToRun
from flawline.application.stages import Prepared, Stages, TooLate
from flawline.application.taken import Taken
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

    images: memory for the batch, uint8 [N or more, 1, input height, input width]. spread: threads that
    prepare beside each other; without them one picture is prepared after the other.

    Attributes:
        prepared: those to run, in the order of the images.
        ended: those that were not to be run, until `pop_ended`.
    """

    def __init__(
        self,
        stages: Stages,
        pictures: Sequence[Taken],
        images: NDArray[np.uint8],
        spread: Executor | None = None,
    ) -> None:
        self._stages = stages
        self._pictures = pictures
        self._images = images
        self._spread = spread
        self._began_s = 0.0
        self._ended: list[Ended] = []
        self.prepared: list[Prepared] = []

    def prepare(self) -> NDArray[np.uint8]:
        """Images of all pictures that are to be run; raises NothingToRun when none is."""
        pairs = list(zip(self._pictures, self._images, strict=False))
        if self._spread is None or len(pairs) == 1:
            found = [self._prepared(*pair) for pair in pairs]
        else:
            found = list(self._spread.map(self._prepared, *zip(*pairs, strict=True)))
        for number, one in enumerate(found):
            if isinstance(one, Ended):
                self._ended.append(one)
                continue
            if number != len(self.prepared):  # the place of one that is not run
                self._images[len(self.prepared)] = self._images[number]
            self.prepared.append(one)
        if not self.prepared:
            raise NothingToRun
        return self.again(range(len(self.prepared)))

    def again(self, part: range) -> NDArray[np.uint8]:
        """Images of a part of those that were prepared."""
        self._began_s = self._stages.now_s()
        return self._images[part.start : part.stop]

    def judge(self, part: range | None, output: RawOutput) -> list[Ended]:
        """The outcomes of a part that was run, None for all that was prepared."""
        pictures = self._part(part)
        self._stages.inferred(pictures, self._began_s)
        return [
            self._judged(picture, RawOutput(output.boxes_xyxy[i], output.scores[i]))
            for i, picture in enumerate(pictures)
        ]

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

    def pop_ended(self) -> list[Ended]:
        """Those that were not to be run, once."""
        ended, self._ended = self._ended, []
        return ended

    def _part(self, part: range | None) -> Sequence[Prepared]:
        return self.prepared if part is None else self.prepared[part.start : part.stop]

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
