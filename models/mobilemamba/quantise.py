"""INT8 by static quantisation: which convolutions, what it costs in accuracy, what it brings in time.

Quantised values stand between QuantizeLinear and DequantizeLinear (QDQ, operators of the standard), so that every
runtime that knows them may take its own INT8 kernels.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from flawspec.artifact import INPUT_NAME
from flawspec.manifest import ArtifactManifest
from mobilemamba.complexity import times_ms
from mobilemamba.dataset import Dataset
from mobilemamba.evaluate import InputGeometry, Metrics, Predict, detect, lay_in, measure
from mobilemamba.export import ExportError, artifact_predictor, load_session

MOST_LOST = 0.01  # mAP50 that INT8 may cost
LEAST_FASTER = 1.3  # how many times faster it has to be to be worth a file of its own
WIDE = 32  # input channels from which a convolution is counted as wide


@dataclass(frozen=True)
class Convolution:
    """What a recipe decides by; `group` is 1 for a dense one."""

    name: str
    in_channels: int
    group: int


@dataclass(frozen=True)
class Recipe:
    """Which convolutions become INT8; everything else stays float."""

    name: str
    takes: Callable[[Convolution], bool]


RECIPES = (
    Recipe("every convolution", lambda _: True),
    Recipe("dense convolutions", lambda c: c.group == 1),
    Recipe(
        f"dense convolutions of {WIDE} channels and more",
        lambda c: c.group == 1 and c.in_channels >= WIDE,
    ),
)


@dataclass(frozen=True)
class Trial:
    """One recipe, measured beside the float artifact.

    Attributes:
        recipe: its name.
        graph: the quantised network.
        convolutions: how many were taken.
        metrics: on the validation set, in ONNX Runtime.
        speed: the float artifact's time by this one's, on one thread, for one picture.
        lost: mAP50 of the float artifact minus this one's.
    """

    recipe: str
    graph: onnx.ModelProto
    convolutions: int
    metrics: Metrics
    speed: float
    lost: float

    @property
    def pays(self) -> bool:
        """Whether it is worth shipping."""
        return self.lost <= MOST_LOST and self.speed >= LEAST_FASTER


def try_recipes(
    artifact: Path,
    manifest: ArtifactManifest,
    calibration: Dataset,
    val: Dataset,
    say: Callable[[str], None],
    rounds: int = 60,
) -> list[Trial]:
    """Quantise by every recipe and measure all beside the float artifact, times taken in turns.

    Args:
        artifact: a float one.
        manifest: its own.
        calibration: pictures from the training side; the ranges of values are taken on them.
        val: what accuracy is measured on.
        say: told what is going on.
        rounds: of the timing.

    Raises:
        ExportError: the artifact or a quantised graph cannot be loaded.
    """
    geometry = InputGeometry(
        manifest.input_width_px,
        manifest.input_height_px,
        manifest.pad_value,
        manifest.nms_iou_threshold,
    )
    pictures = lay_in(calibration.samples, geometry)[0]
    folded = folded_graph(artifact)
    graphs = []
    for recipe in RECIPES:
        say(f"calibrating: {recipe.name}")
        graphs.append(quantise(folded, pictures, recipe))
    predictors = [artifact_predictor(g.SerializeToString(), threads=1) for g, _ in graphs]
    plain = artifact_predictor(artifact, threads=1)
    say("measuring accuracy")
    before = _measured(plain, val, geometry)
    after = [_measured(predict, val, geometry) for predict in predictors]
    say("timing")
    picture = pictures[:1]
    plain_ms, *quantised_ms = times_ms([plain, *predictors], picture, rounds)
    return [
        Trial(recipe.name, graph, count, metrics, plain_ms / ms, before.map50 - metrics.map50)
        for recipe, (graph, count), metrics, ms in zip(
            RECIPES, graphs, after, quantised_ms, strict=True
        )
    ]


def folded_graph(artifact: Path) -> onnx.ModelProto:
    """The artifact's graph with norms folded into convolutions, still of standard operators.

    Raises:
        ExportError: ONNX Runtime cannot load it, or it is quantised.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        load_session(artifact, options)
        graph = onnx.load(path)
    if any(node.op_type == "QuantizeLinear" for node in graph.graph.node):
        raise ExportError(
            f"{artifact} is quantised already; give the float one that it was made from"
        )
    return graph


def quantise(
    graph: onnx.ModelProto, pictures: NDArray[np.uint8], recipe: Recipe
) -> tuple[onnx.ModelProto, int]:
    """The graph with the recipe's convolutions in INT8, weights by channel, and how many these are.

    Args:
        graph: float, norms folded.
        pictures: uint8 [N, 1, H, W] for the ranges of activations (minimum and maximum).
        recipe: which ones.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    chosen = [c.name for c in convolutions(graph) if recipe.takes(c)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        logging.disable(logging.WARNING)  # it advises a preparation that has been done
        try:
            quantize_static(
                copy.deepcopy(graph),  # its weights would be moved out of it
                str(path),
                _Reader(pictures),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=chosen,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(path), len(chosen)


def convolutions(graph: onnx.ModelProto) -> Iterator[Convolution]:
    """Of a graph whose weights lie in it."""
    shapes = {w.name: tuple(w.dims) for w in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "Conv" and node.input[1] in shapes:
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            yield Convolution(node.name, shapes[node.input[1]][1] * group, group)


class _Reader:
    """Hands the pictures to the calibration one by one."""

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._rows = iter(pictures)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        row = next(self._rows, None)
        return None if row is None else {INPUT_NAME: row[None]}


def _measured(predict: Predict, val: Dataset, geometry: InputGeometry) -> Metrics:
    return measure(val, list(detect(val.samples, predict, geometry)))
