from __future__ import annotations

import numpy as np
import pytest
from pictures import encoded, quarters, truncated
from tiny_artifact import boxes_and_scores, tiny_manifest

from flawline.core.pipeline import InspectionPipeline
from flawline.core.recipe import default_recipe
from flawline.core.tiling import Tiling
from flawline.core.values import Box, Detection, Verdict
from flawspec.decoding import DecodeLimits
from flawspec.errors import CorruptPicture, TooManyBytes

MANIFEST = tiny_manifest(pad_value=17)
PIPELINE = InspectionPipeline(MANIFEST, DecodeLimits())


def test_a_picture_becomes_a_verdict() -> None:
    # Twice the input's size, one bright quarter: the box comes back in the picture's own pixels.
    grey = PIPELINE.decode(quarters((0, 210, 0, 0), side_px=128))
    images = PIPELINE.images(1)
    letterbox = PIPELINE.place(grey, images[0])
    output = boxes_and_scores(images)

    judgement = PIPELINE.judge(
        output.boxes_xyxy[0], output.scores[0], letterbox, default_recipe(MANIFEST)
    )

    assert judgement.verdict is Verdict.NOT_OK
    assert [d.label for d in judgement.detections] == ["scratch", "pit"]
    scratch = judgement.detections[0]
    assert scratch.score == pytest.approx(210 / 255, abs=0.02)
    assert (scratch.box.x_min, scratch.box.y_min) == (68, 4)
    assert scratch.box.x_max == pytest.approx(68 + 2 * (8 + 20 * 210 / 255), abs=1)


def test_the_frame_is_padded_with_the_artifacts_own_grey() -> None:
    (row,) = PIPELINE.images(1)
    row[:] = 99  # what an earlier picture left behind
    PIPELINE.place(np.full((32, 64), 200, dtype=np.uint8), row)
    assert np.all(row[0, :16] == 17)
    assert np.all(row[0, 16:48] == 200)
    assert np.all(row[0, 48:] == 17)


def test_a_large_frame_is_judged_tile_by_tile_in_its_own_pixels() -> None:
    pipeline = InspectionPipeline(MANIFEST, DecodeLimits(), Tiling(64, 64, 0.25))
    grey = np.zeros((64, 160), dtype=np.uint8)
    grey[:32, 96:128] = 230  # a quarter of the last of three tiles: they begin at 0, 48 and 96
    tiles = pipeline.tiles(grey)
    assert pipeline.rows(encoded(grey)) == len(tiles) == 3
    images = pipeline.images(len(tiles))
    views = pipeline.view(grey, tiles, images)
    output = boxes_and_scores(images)

    judgement = pipeline.judge_views(
        output.boxes_xyxy, output.scores, views, default_recipe(MANIFEST)
    )

    assert [(view.left_px, view.top_px) for view in views] == [(0, 0), (48, 0), (96, 0)]
    scratch = next(d for d in judgement.detections if d.label == "scratch")
    assert scratch.score == pytest.approx(230 / 255, abs=0.001)
    assert (scratch.box.x_min, scratch.box.y_min) == (98, 2)
    assert scratch.box.x_max == round(scratch.box.x_max, 2)

    # Seen as a whole it is too small, and darkened by what lies around it.
    whole = PIPELINE.images(1)
    letterbox = PIPELINE.place(grey, whole[0])
    output = boxes_and_scores(whole)
    recipe = default_recipe(MANIFEST)
    judgement = PIPELINE.judge(output.boxes_xyxy[0], output.scores[0], letterbox, recipe)
    assert judgement.verdict is Verdict.OK
    assert PIPELINE.rows(encoded(grey)) == 1


def test_a_picture_whose_header_tells_nothing_is_left_to_decoding() -> None:
    assert InspectionPipeline(MANIFEST, DecodeLimits(), Tiling(8, 8, 0.0)).rows(b"nothing") == 1


def test_bad_pictures_are_told_apart() -> None:
    with pytest.raises(CorruptPicture):
        PIPELINE.decode(truncated())
    small = InspectionPipeline(MANIFEST, DecodeLimits(max_bytes=10))
    with pytest.raises(TooManyBytes):
        small.decode(encoded(np.zeros((64, 64), np.uint8)))


def test_a_box_knows_its_shorter_side() -> None:
    assert Box(0, 0, 3, 5).shorter_side_px == 3
    assert Detection("pit", 0.5, Box(1, 1, 9, 3)).box.shorter_side_px == 2
