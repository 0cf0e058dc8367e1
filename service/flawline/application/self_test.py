"""What a model must do before anything depends on it."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from flawline.application.lane import Lane
from flawline.core.model_errors import UnusableArtifact
from flawline.core.postprocess import UnusableOutput
from flawline.core.values import RawOutput
from flawline.samples.generator import generate_frame
from flawspec.letterbox import Letterbox

_FRAMES = 4
_SEED = 5
# Batches are computed in other orders, and accelerators in fewer bits; a mix-up of rows is far larger.
_SCORE_TOLERANCE = 0.005
_BOX_TOLERANCE_PX = 0.5


async def self_test(lane: Lane, max_batch: int) -> None:
    """Run drawn frames through the engine. Raises UnusableArtifact, saying what failed.

    Each frame must give finite numbers that a verdict can rest on, the same alone as in a batch, and
    not the same whatever the picture.
    """
    images, letterboxes = await asyncio.to_thread(_drawn, lane, min(_FRAMES, max_batch))
    batch = await lane.engine.infer(images)
    alone = [await lane.engine.infer(images[i : i + 1]) for i in range(len(images))]
    if fault := await asyncio.to_thread(_fault, lane, batch, alone, letterboxes):
        raise UnusableArtifact(
            "self_test_failed",
            f"{lane.info.name} {lane.info.version} failed its self test: {fault}.",
        )


def _drawn(lane: Lane, count: int) -> tuple[NDArray[np.uint8], list[Letterbox]]:
    """Images as the engine takes them, uint8 [N, 1, height, width]."""
    images = lane.pipeline.images(count)
    letterboxes = [
        lane.pipeline.place(generate_frame(_SEED + i).grey, image) for i, image in enumerate(images)
    ]
    return images, letterboxes


def _fault(
    lane: Lane, batch: RawOutput, alone: list[RawOutput], letterboxes: list[Letterbox]
) -> str | None:
    count, classes = len(letterboxes), len(lane.info.labels)
    boxes, scores = batch.boxes_xyxy, batch.scores
    if (
        boxes.ndim != 3
        or scores.shape != (*boxes.shape[:2], classes)
        or (len(boxes), boxes.shape[2]) != (count, 4)
    ):
        return f"{count} pictures gave boxes {list(boxes.shape)} and scores {list(scores.shape)}"
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        return "its numbers are not finite"
    if scores.min() < 0 or scores.max() > 1:
        return f"its scores reach from {scores.min():g} to {scores.max():g}, not from 0 to 1"
    if not _agree(batch, alone):
        return "a picture alone gives another answer than in a batch"
    if count > 1 and all(np.array_equal(scores[0], row) for row in scores[1:]):
        return "its scores are the same whatever the picture"
    return _judging_fault(lane, batch, letterboxes)


def _agree(batch: RawOutput, alone: list[RawOutput]) -> bool:
    return all(
        one.boxes_xyxy.shape == (1, *boxes.shape)
        and one.scores.shape == (1, *scores.shape)
        and np.allclose(one.boxes_xyxy[0], boxes, rtol=0, atol=_BOX_TOLERANCE_PX)
        and np.allclose(one.scores[0], scores, rtol=0, atol=_SCORE_TOLERANCE)
        for one, boxes, scores in zip(alone, batch.boxes_xyxy, batch.scores, strict=True)
    )


def _judging_fault(lane: Lane, batch: RawOutput, letterboxes: list[Letterbox]) -> str | None:
    """With a threshold of 0 every box is looked at."""
    recipe = lane.recipes.find(None).with_min_score(0.0)
    rows = zip(batch.boxes_xyxy, batch.scores, letterboxes, strict=True)
    try:
        for boxes_xyxy, scores, letterbox in rows:
            lane.pipeline.judge(boxes_xyxy, scores, letterbox, recipe)
    except UnusableOutput as error:
        return str(error)
    return None
