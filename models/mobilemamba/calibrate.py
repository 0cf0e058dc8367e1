"""Thresholds for a promised rate with a confidence bound.

Either the escape rate is promised, the share of defective pictures that pass as OK, or the false reject rate, the share
of pictures without a flaw that are reported. All thresholds move together in logit space from given ones. The
path is fixed before the data are seen, and it is walked (from sensitive to tolerant for escapes, the other
way for false rejects) until the promise can no longer be kept; testing in
a fixed sequence keeps the confidence (Bauer 1991; Angelopoulos et al. 2021, "Learn then Test"). The
bound of each step is the exact binomial one (Clopper & Pearson 1934).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilemamba.evaluate import LOWEST_SCORE, Detections
from mobilemamba.operating_point import is_reported

SHIFTS = tuple(round(-10 + 0.1 * i, 1) for i in range(201))  # logits, sensitive first
HIGHEST_SCORE = 0.999
ROUNDING = 1e4
LEAST_RATE = 1e-300


class CalibrationError(Exception):
    """The data cannot support the promise; the message says how many pictures would."""


@dataclass(frozen=True)
class Promise:
    """At most `escape_rate` of defective pictures pass, said with `confidence`; both between 0 and 1."""

    escape_rate: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """The most tolerant thresholds that keep the promise, and what they cost.

    Attributes:
        thresholds: one a class.
        escapes, defective: defective pictures passed, and how many there were.
        escape_bound: upper confidence bound of the escape rate.
        false_rejects, clean: defect-free pictures rejected, and how many there were.
        false_reject_bound: upper bound of the false reject rate at the same confidence; 1 without clean pictures.
    """

    thresholds: tuple[float, ...]
    escapes: int
    defective: int
    escape_bound: float
    false_rejects: int
    clean: int
    false_reject_bound: float


def calibrate(
    defective: list[Detections],
    clean: list[Detections],
    start: tuple[float, ...],
    promise: Promise,
) -> Calibration:
    """Choose thresholds.

    Args:
        defective: detections of pictures that hold a flaw, down to the lowest scores.
        clean: detections of pictures that hold none.
        start: thresholds to move from, one a class; not chosen on these pictures.
        promise: what is to be kept.

    Raises:
        CalibrationError: too few defective pictures, or too many escapes even at the lowest thresholds.
    """
    require_defective(len(defective), promise)
    limits = np.array(start, dtype=np.float64)
    margins = np.array([_margin(found, limits) for found in defective])
    kept = _last_kept(margins, promise)
    # a little below, so that a score that met the shift exactly meets the rounded threshold too
    thresholds = np.floor(_shifted(limits, kept) * ROUNDING) / ROUNDING
    return _outcome(defective, clean, thresholds, promise.confidence)


def require_defective(pictures: int, promise: Promise) -> None:
    """Raises CalibrationError where so many defective pictures are too few, whatever is found on them."""
    needed = least_pictures(promise)
    if pictures < needed:
        raise CalibrationError(
            f"{pictures} defective pictures cannot support an escape rate of {promise.escape_rate:g} with "
            f"{promise.confidence:g} confidence: at least {needed} are needed, all of them found"
        )


def require_clean(pictures: int, rate: float, confidence: float) -> None:
    """Raises CalibrationError where so many pictures without a flaw are too few, whatever is found on them."""
    needed = _least_trials(rate, confidence)
    if pictures < needed:
        raise CalibrationError(
            f"{pictures} pictures without a flaw cannot support a false reject rate of {rate:g} with {confidence:g} "
            f"confidence: at least {needed} are needed, none of them reported"
        )


def _last_kept(margins: NDArray[np.float64], promise: Promise) -> float:
    """The last of `SHIFTS` to which the promise is kept."""
    kept: float | None = None
    for shift in SHIFTS:
        escapes = int((margins < shift).sum())
        bound = upper_bound(escapes, len(margins), promise.confidence)
        if bound > promise.escape_rate:
            break
        kept = shift
    if kept is None:  # the first was the last that was looked at
        raise CalibrationError(
            f"even at the lowest thresholds {escapes} of {len(margins)} defective pictures pass, so an escape rate of "
            f"{bound:.3f} is the least that can be promised; train a better model or promise less"
        )
    return kept


def calibrate_false_rejects(
    defective: list[Detections],
    clean: list[Detections],
    start: tuple[float, ...],
    rate: float,
    confidence: float,
) -> Calibration:
    """The most sensitive thresholds at which at most `rate` of pictures without a flaw are reported.

    Arguments and result are those of `calibrate`; said with `confidence`.

    Raises:
        CalibrationError: too few pictures without a flaw, or too many are reported even at the highest thresholds.
    """
    require_clean(len(clean), rate, confidence)
    limits = np.array(start, dtype=np.float64)
    chosen: NDArray[np.float64] | None = None
    for shift in reversed(SHIFTS):
        # a little above, so that no picture more is reported than was counted
        thresholds = np.ceil(_shifted(limits, shift) * ROUNDING) / ROUNDING
        rejects = sum(is_reported(found, thresholds) for found in clean)
        if upper_bound(rejects, len(clean), confidence) > rate:
            break
        chosen = thresholds
    if chosen is None:
        raise CalibrationError(
            f"even at the highest thresholds {rejects} of {len(clean)} pictures without a flaw are reported; "
            "train with more of them, or promise less"
        )
    return _outcome(defective, clean, chosen, confidence)


def _outcome(
    defective: list[Detections],
    clean: list[Detections],
    thresholds: NDArray[np.float64],
    confidence: float,
) -> Calibration:
    escapes = sum(not is_reported(found, thresholds) for found in defective)
    rejects = sum(is_reported(found, thresholds) for found in clean)
    return Calibration(
        thresholds=tuple(float(t) for t in thresholds),
        escapes=escapes,
        defective=len(defective),
        escape_bound=upper_bound(escapes, len(defective), confidence) if defective else 1.0,
        false_rejects=rejects,
        clean=len(clean),
        false_reject_bound=upper_bound(rejects, len(clean), confidence) if clean else 1.0,
    )


def least_pictures(promise: Promise) -> int:
    """How many defective pictures, all of them found, are enough: (1 - rate)^n <= 1 - confidence."""
    return _least_trials(promise.escape_rate, promise.confidence)


def _least_trials(rate: float, confidence: float) -> int:
    # 1 - rate would be 1 for the smallest rates, and below LEAST_RATE the quotient is beyond a float
    return math.ceil(math.log1p(-confidence) / math.log1p(-max(rate, LEAST_RATE)))


def upper_bound(events: int, trials: int, confidence: float) -> float:
    """One-sided Clopper-Pearson: the rate at which `events` or fewer in `trials` have probability 1 - confidence."""
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(60):  # bisection to the last bit of a float
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _at_most(events, trials, middle) > 1 - confidence else (low, middle)
        )
    return high


def _at_most(events: int, trials: int, rate: float) -> float:
    """Probability of `events` or fewer; rate strictly between 0 and 1."""
    terms = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(events + 1)
    ]
    return math.fsum(math.exp(term) for term in terms)


def _margin(found: Detections, limits: NDArray[np.float64]) -> float:
    """How far the thresholds may move up until nothing of this picture is reported; -inf when nothing ever was."""
    if len(found.scores) == 0:
        return -math.inf
    scores = found.scores.astype(np.float64).clip(LOWEST_SCORE, HIGHEST_SCORE)
    return float((_logit(scores) - _logit(limits[found.class_ids])).max())


def _shifted(limits: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = 1 / (1 + np.exp(-(_logit(limits) + shift)))
    return moved.clip(LOWEST_SCORE, HIGHEST_SCORE)


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probability) - np.log1p(-probability)
