"""Writes docs/edge-arithmetic.md: what the published figures of small boards allow the packaged artifact at most.

    python docs/make_edge_sheet.py [--check]

Arithmetic, not measurement. For each operator the longer of two times counts (the roofline of Williams et al., CACM
52, 2009): its operations at the peak of the board, or its bytes at its memory bandwidth; caches and fusion are not
credited.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import numpy_helper, shape_inference

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "edge-arithmetic.md"
FLOAT_BYTES = 4
# What moves no data, or is done once when the model is loaded.
FREE = {"Reshape", "Squeeze", "Unsqueeze", "Shape", "Constant", "Identity", "Flatten"}


@dataclass(frozen=True)
class Board:
    """Peaks as published, for float32; the source says where."""

    name: str
    gflops: float
    gigabytes_per_s: float
    source: str


BOARDS = (
    Board(
        "Raspberry Pi 5, 4 cores",
        4 * 2.4 * 16,
        17.1,
        "Cortex-A76 at 2.4 GHz, two 128-bit FMA units a core (Arm's optimisation guide); LPDDR4X-4267, 32 bit",
    ),
    Board(
        "Jetson Nano, GPU",
        236.0,
        25.6,
        "128 Maxwell cores at 0.92 GHz; 25.6 GB/s (NVIDIA's data sheet)",
    ),
    Board(
        "Jetson Orin Nano 8 GB, GPU",
        1280.0,
        68.0,
        "1024 Ampere cores at 0.625 GHz; 68 GB/s (NVIDIA's data sheet, before the Super mode)",
    ),
)


@dataclass(frozen=True)
class Operator:
    """One node of the graph for one picture."""

    flop: float
    bytes_moved: float


def operators(artifact: Path) -> list[Operator]:
    """Every node that computes, batch 1; sizes by shape inference."""
    model = onnx.load(artifact)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, tuple[int, ...]] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(d.dim_value or 1 for d in dims)
    for tensor in graph.initializer:
        shapes[tensor.name] = numpy_helper.to_array(tensor).shape
    return [_operator(node, shapes) for node in graph.node if node.op_type not in FREE]


def _operator(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> Operator:
    sizes = [math.prod(shapes.get(name, ())) for name in (*node.input, *node.output) if name]
    out = shapes.get(node.output[0], ())
    flop = float(math.prod(out))
    if node.op_type == "Conv":
        weight = shapes[node.input[1]]
        flop = 2.0 * math.prod(out) * math.prod(weight[1:])
    elif node.op_type == "MatMul":
        flop = 2.0 * math.prod(out) * shapes[node.input[0]][-1]
    return Operator(flop, FLOAT_BYTES * float(sum(sizes)))


def least_ms(nodes: list[Operator], board: Board) -> float:
    """The roofline of the whole graph on that board, milliseconds a picture."""
    return 1000 * sum(
        max(node.flop / (board.gflops * 1e9), node.bytes_moved / (board.gigabytes_per_s * 1e9))
        for node in nodes
    )


def sheet(artifact: Path) -> str:
    """The page."""
    nodes = operators(artifact)
    gflop = sum(node.flop for node in nodes) / 1e9
    megabytes = sum(node.bytes_moved for node in nodes) / 1e6
    rows = "".join(
        f"| {board.name} | {board.gflops:.0f} | {board.gigabytes_per_s:g} | {least_ms(nodes, board):.1f} | "
        f"{1000 / least_ms(nodes, board):.0f} | {250 / least_ms(nodes, board):.0f} | {board.source} |\n"
        for board in BOARDS
    )
    return f"""# What small boards can do: arithmetic, not measurement

Made by `python docs/make_edge_sheet.py` from `{artifact.name}`: {gflop:.2f} GFLOP and {megabytes:.0f} MB of
tensors read and written for one picture. No board was at hand: nobody has measured these. They are bounds from
published peaks, for the network alone (decoding a JPEG, the letterbox and NMS come on top), in float32. A well-tuned
runtime reaches a part of such a bound; the last but one column is what remains if it reaches a quarter, an assumption
and no promise. Measure yours: `flawline check` tells the time of one inspection.

| board | GFLOP/s | GB/s | at least, ms | frames/s at most | frames/s at a quarter of it | published where |
|---|---|---|---|---|---|---|
{rows}"""


def main() -> None:
    """Write the page, or with --check say that it is out of date."""
    (artifact,) = (ROOT / "service" / "flawline" / "artifacts").glob("*.onnx")
    made = sheet(artifact)
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") != made:
            raise SystemExit(f"{TARGET.name} is out of date: run python docs/make_edge_sheet.py")
        return
    TARGET.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
