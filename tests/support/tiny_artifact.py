"""A small artifact made without torch, which says something different of every picture.

Its input is 64x64. Each quarter of it is one anchor; the mean grey of the quarter, 0..1, is its score in class
`scratch`, half of that its score in class `pit`, and its box grows with it. So a mixed-up answer shows.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from flawline.core.values import RawOutput
from flawspec.artifact import METADATA_KEY
from flawspec.labels import LabelSet
from flawspec.manifest import ArtifactManifest, TrainingData

SIDE_PX = 64
HALF_PX = SIDE_PX // 2
LABELS = ("scratch", "pit")
CLASS_WEIGHTS = np.array([1.0, 0.5], dtype=np.float32)
# Quarters in the order of rows: where each box begins, and what it adds for each unit of brightness.
CORNERS = np.array([[2, 2], [34, 2], [2, 34], [34, 34]], dtype=np.float32)
BASE_BOXES = np.concatenate([CORNERS, CORNERS + 8], axis=1)
GROWTH = np.array([0, 0, 20, 20], dtype=np.float32)


def tiny_manifest(**changes: Any) -> ArtifactManifest:
    """A valid manifest of the tiny artifact; `changes` replace fields."""
    manifest = ArtifactManifest(
        contract_version=1,
        model_name="tiny",
        model_version="1.2.3",
        labels=LabelSet(LABELS),
        input_width_px=SIDE_PX,
        input_height_px=SIDE_PX,
        input_channels=1,
        stride_multiple=32,
        pad_value=0,
        normalisation_mean=0.0,
        normalisation_std=1.0,
        box_encoding="xyxy-input-px",
        nms_iou_threshold=0.5,
        score_thresholds=(0.5, 0.35),
        training_data=(TrainingData("none", "train", 0, "0" * 64),),
        metrics={"map50": 0.5},
        metrics_split="val",
        license_note="made for tests",
        created_at="2026-01-01T00:00:00Z",
        train_config_sha256="0" * 64,
    )
    return replace(manifest, **changes)


def boxes_and_scores(images: NDArray[np.uint8]) -> RawOutput:
    """The same as the graph, in numpy; images uint8 [N, 1, 64, 64]."""
    quarters = images.reshape(len(images), 2, HALF_PX, 2, HALF_PX).astype(np.float32) / 255
    brightness = quarters.mean(axis=(2, 4)).reshape(len(images), 4, 1)
    return RawOutput(BASE_BOXES + brightness * GROWTH, brightness * CLASS_WEIGHTS)


def tiny_model(
    *,
    manifest_text: str | None = None,
    batch: str | int = "N",
    input_type: int = TensorProto.UINT8,
    input_name: str = "images",
    scores_name: str = "scores",
    classes: int = len(LABELS),
    scores_as: tuple[int, int, int] | None = None,
    side_px: int = SIDE_PX,
) -> onnx.ModelProto:
    """The ONNX model; the arguments make it break the contract.

    scores_as: reshapes the scores in a way that shows only when the graph is run. side_px: of its input;
    the boxes stay in the upper left 64x64.
    """
    shape = [batch, 1, side_px, side_px]
    weights = np.resize(CLASS_WEIGHTS, classes)
    constants: dict[str, NDArray[Any]] = {
        "scale": np.array(1 / 255, dtype=np.float32),
        "anchors": np.array([-1, 4, 1], dtype=np.int64),
        "base": BASE_BOXES,
        "growth": GROWTH,
        "weights": weights,
    }
    nodes = [
        helper.make_node("Cast", [input_name], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["grey", "scale"], ["unit"]),
        helper.make_node(
            "AveragePool",
            ["unit"],
            ["mean"],
            kernel_shape=[side_px // 2] * 2,
            strides=[side_px // 2] * 2,
        ),
        helper.make_node("Reshape", ["mean", "anchors"], ["brightness"]),
        helper.make_node("Mul", ["brightness", "weights"], ["plain" if scores_as else scores_name]),
        helper.make_node("Mul", ["brightness", "growth"], ["grown"]),
        helper.make_node("Add", ["grown", "base"], ["boxes_xyxy"]),
    ]
    score_sizes: list[str | int] = [batch, 4, classes]
    if scores_as:
        constants["sizes"] = np.array(scores_as, dtype=np.float32)
        constants["nothing"] = np.array(0, dtype=np.float32)
        score_sizes = ["N", "A", "C"]
        nodes += [
            # Computed from the picture, though always the same, so that nobody can infer it beforehand.
            helper.make_node("ReduceMin", ["unit"], ["darkest"], keepdims=0),
            helper.make_node("Mul", ["darkest", "nothing"], ["zero"]),
            helper.make_node("Add", ["zero", "sizes"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["shape"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["plain", "shape"], [scores_name]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(input_name, input_type, shape)],
        [
            helper.make_tensor_value_info("boxes_xyxy", TensorProto.FLOAT, [batch, 4, 4]),
            helper.make_tensor_value_info(scores_name, TensorProto.FLOAT, score_sizes),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    text = tiny_manifest().to_json() if manifest_text is None else manifest_text
    helper.set_model_props(model, {METADATA_KEY: text})
    return model


def write_tiny_artifact(folder: Path, name: str = "tiny.onnx", **changes: Any) -> Path:
    """Write the artifact and the SHA256SUMS beside it; `changes` as for `tiny_model`."""
    path = folder / name
    path.write_bytes(tiny_model(**changes).SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {name}\n")
    return path


def release_tiny_artifact(folder: Path, **changes: Any) -> Path:
    """Write NAME-VERSION.onnx into a folder of several, and its line into SHA256SUMS; `changes` of the manifest."""
    manifest = tiny_manifest(**changes)
    path = folder / f"{manifest.model_name}-{manifest.model_version}.onnx"
    model = tiny_model(manifest_text=manifest.to_json(), side_px=manifest.input_width_px)
    path.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{digest}  {path.name}\n")
    return path
