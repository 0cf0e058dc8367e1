"""Whether a graph is what its manifest says: by its names, types and sizes, and by what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from flawline.core.values import RawOutput
from flawspec.artifact import BOXES_NAME, INPUT_NAME, SCORES_NAME
from flawspec.errors import ArtifactError
from flawspec.manifest import ArtifactManifest


class GraphMismatch(ArtifactError):  # noqa: N818 - named like its siblings
    """The graph is not the one its manifest describes; all differences are named at once."""

    code = "graph_mismatch"

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        super().__init__(f"{path} does not keep its manifest: {'; '.join(differences)}.")
        self.differences = tuple(differences)


def graph_differences(
    session: onnxruntime.InferenceSession, manifest: ArtifactManifest
) -> list[str]:
    """In names, types and declared sizes; running it checks the sizes that are left open."""
    picture = [None, 1, manifest.input_height_px, manifest.input_width_px]
    expected: list[tuple[str, str, list[int | None]]] = [
        (INPUT_NAME, "tensor(uint8)", picture),
        (BOXES_NAME, "tensor(float)", [None, None, 4]),
        (SCORES_NAME, "tensor(float)", [None, None, len(manifest.labels)]),
    ]
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    differences = []
    if set(inputs) != {INPUT_NAME}:
        differences.append(f"its inputs are {sorted(inputs)}, expected is {INPUT_NAME!r} alone")
    for name, kind, shape in expected:
        value = inputs.get(name) or outputs.get(name)
        if value is None:
            differences.append(f"it has no {name!r}")
        elif value.type != kind or not _fits(value.shape, shape):
            differences.append(
                f"{name!r} is {value.type} {value.shape}, expected is {kind} {_readable(shape)}"
            )
    return differences


def _fits(declared: Sequence[int | str | None], expected: Sequence[int | None]) -> bool:
    """Whether declared sizes agree; an open one (a name or None) fits any, a batch must be open."""
    return (
        len(declared) == len(expected)
        and not isinstance(declared[0], int)
        and all(
            want is None or not isinstance(have, int) or have == want
            for have, want in zip(declared, expected, strict=True)
        )
    )


def _readable(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def output_differences(output: RawOutput, pictures: int, classes: int) -> list[str]:
    """In the sizes of what came of a batch of so many pictures."""
    boxes, scores = output.boxes_xyxy.shape, output.scores.shape
    if boxes == (pictures, boxes[1] if len(boxes) > 1 else None, 4) and scores == (
        *boxes[:2],
        classes,
    ):
        return []
    return [f"a batch of {pictures} gives boxes {list(boxes)} and scores {list(scores)}"]
