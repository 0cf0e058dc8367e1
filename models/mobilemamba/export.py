"""From a network to an artifact: one ONNX file of standard operators that says what it is.

It is refused when its numbers differ from PyTorch's.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

# Its wheels report models to their maker unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxscript import opset18
from torch import nn

from flawspec.artifact import BOXES_NAME, INPUT_NAME, METADATA_KEY, SCORES_NAME
from flawspec.manifest import ArtifactManifest
from mobilemamba.evaluate import Predict, network_predictor
from mobilemamba.folding.network import fold
from mobilemamba.harsh import harsh_pictures
from mobilemamba.wrapper import ArtifactNetwork

OPSET = 18
PARITY_BATCHES = (1, 3, 8)
PARITY_TOLERANCE = 1e-4


class ExportError(Exception):
    """The artifact would not be what it claims to be; the message says in what."""


def to_onnx(network: nn.Module, height_px: int, width_px: int) -> onnx.ModelProto:
    """The graph of a network: fixed height and width, free batch size, opset 18.

    An `ArtifactNetwork` is exported in its folded form (`folding`).

    Raises:
        ExportError: an operator outside the ONNX standard was needed.
    """
    if isinstance(network, ArtifactNetwork):
        network = fold(network)
    example = torch.zeros(2, 1, height_px, width_px, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1024)
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[BOXES_NAME, SCORES_NAME],
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
            custom_translation_table={torch.ops.aten.softplus.default: _softplus},
        )
    if program is None:
        raise ExportError("PyTorch gave no ONNX program")
    model = program.model_proto
    foreign = {
        f"{n.domain}::{n.op_type}" for n in model.graph.node if n.domain not in ("", "ai.onnx")
    }
    if foreign or model.functions:
        raise ExportError(f"not only operators of the ONNX standard: {', '.join(sorted(foreign))}")
    for node in model.graph.node:  # the exporter leaves source lines of this machine behind
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model


def _softplus(x: object, beta: float = 1.0, threshold: float = 20.0) -> object:
    """``max(x, 0) + log(1 + exp(-|x|))``; what PyTorch does beyond its threshold is the same in float32.

    ONNX Runtime computes its Softplus one number at a time, these operators in vectors.
    """
    if beta != 1.0 or threshold < 20.0:
        raise ExportError(
            f"a softplus of beta {beta} and threshold {threshold} is not prepared for"
        )
    tail = opset18.Log(opset18.Add(opset18.Exp(opset18.Neg(opset18.Abs(x))), 1.0))
    return opset18.Add(opset18.Relu(x), tail)


def with_manifest(model: onnx.ModelProto, manifest: ArtifactManifest) -> bytes:
    """The file's bytes, the manifest among its metadata."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def artifact_predictor(artifact: bytes | Path, threads: int = 0) -> Predict:
    """Predictions of an artifact in ONNX Runtime on the CPU; `threads` 0 means all cores.

    Raises:
        ExportError: ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = load_session(artifact, options)

    def predict(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        boxes, scores = session.run([BOXES_NAME, SCORES_NAME], {INPUT_NAME: pictures})
        return boxes, scores

    return predict


def load_session(
    artifact: bytes | Path, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    """An artifact, or the bytes of one, in ONNX Runtime on the CPU.

    Raises:
        ExportError: ONNX Runtime cannot load it: an operator or a version that it does not know.
    """
    source = artifact if isinstance(artifact, bytes) else str(artifact)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common type of their own
        name = "the graph that was made" if isinstance(artifact, bytes) else artifact
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {name}: {reason}; export it anew, or install a "
            "release of ONNX Runtime that knows what it holds"
        ) from error


def check_parity(network: nn.Module, artifact: bytes, pictures: NDArray[np.uint8]) -> float:
    """Compare PyTorch with ONNX Runtime at batch 1, 3 and 8.

    Args:
        network: the `ArtifactNetwork` that was exported, on the CPU.
        artifact: the file's bytes.
        pictures: as for `largest_difference`.

    Returns:
        The largest difference, of scores and of boxes divided by the input's larger side.

    Raises:
        ExportError: it is above 1e-4, or the pictures prove nothing.
    """
    ours, theirs = network_predictor(network, torch.device("cpu")), artifact_predictor(artifact)
    worst = largest_difference(ours, theirs, pictures)
    if not worst <= PARITY_TOLERANCE:
        raise ExportError(
            f"ONNX Runtime and PyTorch differ by {worst:.2e}; at most {PARITY_TOLERANCE:.0e} is allowed"
        )
    return worst


def require_answers(predict: Predict, height_px: int, width_px: int) -> None:
    """Raises ExportError unless frames in black and white get numbers: one without would get no verdict."""
    if not all(
        np.isfinite(values).all() for values in predict(harsh_pictures(height_px, width_px))
    ):
        raise ExportError(
            "the network gives values that are not finite on frames in black and white"
        )


def largest_difference(ours: Predict, theirs: Predict, pictures: NDArray[np.uint8]) -> float:
    """Between two predictors at batch 1, 3 and 8, of scores and of boxes divided by the input's larger side.

    Args:
        ours: one.
        theirs: the other.
        pictures: uint8 [N, 1, H, W], N at least 8; real ones, never zeros.

    Raises:
        ExportError: a value is not finite, or the pictures prove nothing.
    """
    if len(pictures) < max(PARITY_BATCHES) or any(p.std() < 1 for p in pictures):
        raise ExportError(f"parity needs {max(PARITY_BATCHES)} pictures that are not blank")
    side = max(pictures.shape[-2:])
    worst = 0.0
    for size in PARITY_BATCHES:
        for start in range(0, len(pictures) - size + 1, size):
            batch = pictures[start : start + size]
            (boxes, scores), (other_boxes, other_scores) = ours(batch), theirs(batch)
            if not all(np.isfinite(a).all() for a in (boxes, scores, other_boxes, other_scores)):
                raise ExportError("the network gives values that are not finite")
            worst = max(
                worst,
                float(np.abs(boxes - other_boxes).max()) / side,
                float(np.abs(scores - other_scores).max()),
            )
    return worst


def textured_pictures(count: int, height_px: int, width_px: int, seed: int) -> NDArray[np.uint8]:
    """Generated pictures for `check_parity`, uint8 [N, 1, H, W]: light, streaks, noise, dark spots."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    pictures = np.empty((count, 1, height_px, width_px), dtype=np.uint8)
    for picture in pictures:
        light = (
            rng.uniform(60, 190) + rng.uniform(-0.2, 0.2) * columns + rng.uniform(-0.2, 0.2) * rows
        )
        light = light + rng.normal(0, 8, (1, width_px)) + rng.normal(0, 6, (height_px, width_px))
        for _ in range(int(rng.integers(1, 6))):
            x, y, size = rng.uniform(0, width_px), rng.uniform(0, height_px), rng.uniform(2, 30)
            light = light - 90 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * size**2))
        picture[0] = light.clip(0, 255).astype(np.uint8)
    return pictures


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on standard output, in logs and in deprecation warnings of its own parts."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
