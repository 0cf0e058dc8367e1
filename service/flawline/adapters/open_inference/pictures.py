"""What inspections of the pictures of one request say, laid out as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flawline.adapters.open_inference import catalogue
from flawline.adapters.open_inference.errors import Kind, OpenInferenceError, no_verdict
from flawline.adapters.open_inference.messages import Parameter
from flawline.adapters.open_inference.tensors import Elements
from flawline.core.values import Detection, Inspection, Verdict

Outcome = Inspection | OpenInferenceError
_MAY_PASS = (Kind.BUSY, Kind.UNAVAILABLE)


def verdict_of(outcome: Outcome) -> Verdict:
    """`Undefined` where there is none."""
    return outcome.verdict if isinstance(outcome, Inspection) else Verdict.UNDEFINED


def error_of(outcome: Outcome) -> OpenInferenceError:
    """Why there is no verdict."""
    if isinstance(outcome, OpenInferenceError):
        return outcome
    code = outcome.reasons[0].code if outcome.reasons else "undefined"
    detail = " ".join(reason.detail for reason in outcome.reasons)
    return no_verdict(detail or "There is no verdict.", code)


def error_of_all(outcomes: Sequence[Outcome]) -> OpenInferenceError:
    """Why none of them has a verdict: what may pass comes first, for then some may have one at the next try."""
    errors = [error_of(outcome) for outcome in outcomes]
    return next((error for error in errors if error.kind in _MAY_PASS), errors[0])


def why_undefined(outcomes: Sequence[Outcome]) -> dict[str, Parameter]:
    """For each picture without a verdict: `undefined_<index>`, a word and a sentence."""
    reasons: dict[str, Parameter] = {}
    for index, outcome in enumerate(outcomes):
        if verdict_of(outcome) is Verdict.UNDEFINED:
            error = error_of(outcome)
            reasons[f"undefined_{index}"] = f"{error.code}: {error}"
    return reasons


def laid_out(outcomes: Sequence[Outcome]) -> dict[str, Elements]:
    """The picture model's outputs for N outcomes with M detections.

    boxes: float32 [M, 4], x_min y_min x_max y_max in the pixels of the detection's own picture.
    scores: float32 [M]. image_index: int32 [M], which picture it is on. classes: M names. verdict:
    N words.
    """
    found = [
        (index, detection)
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome, Inspection)
        for detection in outcome.detections
    ]
    boxes = np.array([_corners(detection) for _, detection in found], dtype=np.float32)
    return {
        catalogue.BOXES.name: boxes.reshape(-1, 4),
        catalogue.SCORES.name: np.array([d.score for _, d in found], dtype=np.float32),
        catalogue.IMAGE_INDEX.name: np.array([index for index, _ in found], dtype=np.int32),
        catalogue.CLASSES.name: [detection.label.encode() for _, detection in found],
        catalogue.VERDICT.name: [verdict_of(outcome).value.encode() for outcome in outcomes],
    }


def _corners(detection: Detection) -> tuple[float, float, float, float]:
    box = detection.box
    return box.x_min, box.y_min, box.x_max, box.y_max
