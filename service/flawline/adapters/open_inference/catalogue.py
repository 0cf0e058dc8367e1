"""The models as this protocol shows them: each artifact is two.

`<name>` takes encoded pictures and gives what an inspection gives. `<name>_raw` is the network by
itself. In outputs M counts the flaws on all pictures of a request together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flawline.adapters.open_inference.errors import not_found, shown
from flawline.adapters.open_inference.tensors import ANY_SIZE, BYTES, TensorSpec
from flawline.core.values import ModelInfo
from flawspec.artifact import BOXES_NAME, INPUT_NAME, SCORES_NAME

RAW_SUFFIX = "_raw"
PICTURES = TensorSpec("pictures", BYTES, (ANY_SIZE,))
BOXES = TensorSpec("boxes", "FP32", (ANY_SIZE, 4))
SCORES = TensorSpec("scores", "FP32", (ANY_SIZE,))
IMAGE_INDEX = TensorSpec("image_index", "INT32", (ANY_SIZE,))
CLASSES = TensorSpec("classes", BYTES, (ANY_SIZE,))
VERDICT = TensorSpec("verdict", BYTES, (ANY_SIZE,))
RAW_BOXES = TensorSpec(BOXES_NAME, "FP32", (ANY_SIZE, ANY_SIZE, 4))

_PICTURE_PLATFORM = "flawline"
_RAW_PLATFORM = "onnx_onnxv1"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model of the protocol.

    max_batch: most pictures at once where the first dimension is a batch, else 0.
    """

    name: str
    info: ModelInfo
    is_raw: bool
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int = 0

    @property
    def version(self) -> str:
        """That of its artifact."""
        return self.info.version


def served_models(infos: Iterable[ModelInfo], raw_max_batch: int | None) -> list[ServedModel]:
    """Two for each artifact; without the raw one where `raw_max_batch` is None."""
    artifacts = list(infos)
    models = [
        ServedModel(
            name=info.name,
            info=info,
            is_raw=False,
            platform=_PICTURE_PLATFORM,
            inputs=(PICTURES,),
            outputs=(BOXES, SCORES, IMAGE_INDEX, CLASSES, VERDICT),
        )
        for info in artifacts
    ]
    if raw_max_batch is not None:
        models += [_raw(info, raw_max_batch) for info in artifacts]
    return models


def find(models: Sequence[ServedModel], name: str, version: str) -> ServedModel:
    """The first of that name, and of that version unless it is "". Raises OpenInferenceError."""
    named = [model for model in models if model.name == name]
    for model in named:
        if version in ("", model.version):
            return model
    if named:
        versions = ", ".join(model.version for model in named)
        raise not_found(
            f"Model {name!r} has no version {shown(version)}; there is: {versions}.",
            "unknown_model",
        )
    known = ", ".join(dict.fromkeys(model.name for model in models))
    raise not_found(f"There is no model {shown(name)}; there are: {known}.", "unknown_model")


def _raw(info: ModelInfo, max_batch: int) -> ServedModel:
    images = (ANY_SIZE, 1, info.input_height_px, info.input_width_px)
    return ServedModel(
        name=info.name + RAW_SUFFIX,
        info=info,
        is_raw=True,
        platform=_RAW_PLATFORM,
        inputs=(TensorSpec(INPUT_NAME, "UINT8", images),),
        outputs=(
            RAW_BOXES,
            TensorSpec(SCORES_NAME, "FP32", (ANY_SIZE, ANY_SIZE, len(info.labels))),
        ),
        max_batch=max_batch,
    )
