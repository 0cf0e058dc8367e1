"""How large a network is: parameters, floating-point operations and time for one picture."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from mobilemamba.detector import Detector
from mobilemamba.evaluate import Predict
from mobilemamba.export import artifact_predictor, textured_pictures, to_onnx
from mobilemamba.wrapper import ArtifactNetwork


@dataclass(frozen=True)
class Complexity:
    """`flop` counts a multiplication and an addition as two, in convolutions and matrix products."""

    parameters: int
    flop: int


def complexity(detector: Detector, height_px: int, width_px: int) -> Complexity:
    """Of one picture of the given input size."""
    counter = FlopCounterMode(display=False)
    was_training = detector.training
    detector.eval()
    with torch.no_grad(), counter:
        detector(torch.zeros(1, 1, height_px, width_px))
    detector.train(was_training)
    return Complexity(sum(p.numel() for p in detector.parameters()), counter.get_total_flops())


def onnx_times_ms(
    detectors: list[Detector], height_px: int, width_px: int, rounds: int = 30
) -> list[float]:
    """Median time of each for one picture in ONNX Runtime on one thread of this machine, taken in turns."""
    predictors = []
    for detector in detectors:
        network = ArtifactNetwork(detector.eval(), mean=0.5, std=0.25).eval()
        predictors.append(
            artifact_predictor(to_onnx(network, height_px, width_px).SerializeToString(), threads=1)
        )
    return times_ms(predictors, textured_pictures(1, height_px, width_px, seed=0), rounds)


def times_ms(
    predictors: Sequence[Predict], picture: NDArray[np.uint8], rounds: int = 30
) -> list[float]:
    """Median time of each for one picture, taken in turns, so that what else the machine does meets all of them."""
    times: list[list[float]] = [[] for _ in predictors]
    for _ in range(rounds + 3):
        for own, predict in zip(times, predictors, strict=True):
            started = time.perf_counter()
            predict(picture)
            own.append((time.perf_counter() - started) * 1000)
    return [statistics.median(own[3:]) for own in times]  # the first three warm up
