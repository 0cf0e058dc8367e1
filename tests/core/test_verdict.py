from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from flawline.core.recipe import Recipe
from flawline.core.values import Box, Detection, Reason, Verdict
from flawline.core.verdict import combined, judge

RECIPE = Recipe("default", "1", {"pit": 0.25, "scratch": 0.3})
SCRATCH = Detection("scratch", 0.91, Box(0, 0, 50, 4))
FAINT_SCRATCH = Detection("scratch", 0.4, Box(10, 10, 30, 30))
PIT = Detection("pit", 0.5, Box(5, 5, 8, 9))


def test_nothing_found_is_ok_without_a_reason() -> None:
    judgement = judge((), RECIPE)
    assert (judgement.verdict, judgement.reasons, judgement.detections) == (Verdict.OK, (), ())


def test_one_reason_for_each_class_in_the_order_of_the_recipe() -> None:
    judgement = judge((SCRATCH, PIT, FAINT_SCRATCH), RECIPE)
    assert judgement.verdict is Verdict.NOT_OK
    assert judgement.reasons == (
        Reason("defect", "1 pit, highest score 0.50, threshold 0.25"),
        Reason("defect", "2 scratch, highest score 0.91, threshold 0.30"),
    )
    assert judgement.detections == (SCRATCH, PIT, FAINT_SCRATCH)


def test_what_is_smaller_than_the_recipe_says_does_not_count() -> None:
    strict, coarse = replace(RECIPE, min_box_side_px=4), replace(RECIPE, min_box_side_px=4.1)
    assert judge((SCRATCH, PIT), strict).detections == (SCRATCH,)
    assert judge((SCRATCH, PIT), coarse).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ((), Verdict.UNDEFINED),
        ((Verdict.OK, Verdict.OK), Verdict.OK),
        ((Verdict.OK, Verdict.NOT_DECIDABLE), Verdict.NOT_DECIDABLE),
        ((Verdict.NOT_DECIDABLE, Verdict.OK, Verdict.UNDEFINED), Verdict.UNDEFINED),
        ((Verdict.UNDEFINED, Verdict.OK, Verdict.NOT_OK), Verdict.NOT_OK),
        (tuple(Verdict), Verdict.NOT_OK),
    ],
)
def test_the_verdict_of_a_part_is_the_gravest_of_its_frames(
    verdicts: tuple[Verdict, ...], together: Verdict
) -> None:
    assert combined(verdicts) is together
    assert combined(reversed(verdicts)) is together


def test_a_part_is_never_ok_with_a_frame_that_is_not() -> None:
    for verdicts in itertools.product(Verdict, repeat=3):
        assert (combined(verdicts) is Verdict.OK) == (set(verdicts) == {Verdict.OK})
