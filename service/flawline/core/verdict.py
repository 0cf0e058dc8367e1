"""From detections to a verdict, with the rule that decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flawline.core.recipe import Recipe
from flawline.core.values import Detection, Reason, Verdict

_GRAVITY = (Verdict.OK, Verdict.NOT_DECIDABLE, Verdict.UNDEFINED, Verdict.NOT_OK)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and the detections it rests on."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    detections: tuple[Detection, ...]


def judge(found: Sequence[Detection], recipe: Recipe) -> Judgement:
    """NotOK with one reason for each class found, else OK with none.

    found: detections that reach their class's threshold. Those smaller than the recipe's smallest
    size do not count and are left out.
    """
    counted = tuple(
        detection for detection in found if detection.box.shorter_side_px >= recipe.min_box_side_px
    )
    if not counted:
        return Judgement(Verdict.OK, (), ())
    reasons = tuple(
        _defect(label, [d.score for d in counted if d.label == label], threshold)
        for label, threshold in recipe.score_thresholds.items()
        if any(d.label == label for d in counted)
    )
    return Judgement(Verdict.NOT_OK, reasons, counted)


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of one part seen in several frames: the gravest of theirs.

    NotOK over Undefined over NotDecidable over OK: one flaw is enough to reject a part, and it is
    never OK with a frame unevaluated. Without any frame nothing was evaluated: Undefined.
    """
    return max(verdicts, key=_GRAVITY.index, default=Verdict.UNDEFINED)


def _defect(label: str, scores: Sequence[float], threshold: float) -> Reason:
    return Reason(
        "defect",
        f"{len(scores)} {label}, highest score {max(scores):.2f}, threshold {threshold:.2f}",
    )
