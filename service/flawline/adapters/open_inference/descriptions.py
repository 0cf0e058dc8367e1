"""Server, models and figures as JSON documents, by the protocol's names; gRPC has the same in its messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import flawline
from flawline.adapters.open_inference.catalogue import ServedModel
from flawline.adapters.open_inference.tensors import BYTES, TensorSpec
from flawline.application.statistics import ModelFigures, Statistics, Tally

Document = dict[str, Any]

_SERVER_NAME = "flawline"
_EXTENSIONS = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)
_CONFIG_TYPES = {BYTES: "TYPE_STRING"}  # the one that configurations call by another name


def server_metadata() -> Document:
    """What serves, and what it can beyond the protocol's core."""
    return {
        "name": _SERVER_NAME,
        "version": flawline.__version__,
        "extensions": list(_EXTENSIONS),
    }


def model_metadata(model: ServedModel, models: Iterable[ServedModel]) -> Document:
    """The tensors of `model`; its versions are those of its name among `models`."""
    return {
        "name": model.name,
        "versions": [other.version for other in models if other.name == model.name],
        "platform": model.platform,
        "inputs": [_tensor_metadata(spec) for spec in model.inputs],
        "outputs": [_tensor_metadata(spec) for spec in model.outputs],
    }


def model_config(model: ServedModel) -> Document:
    """The same in the words of a Triton configuration: dims are without the batch dimension."""
    return {
        "name": model.name,
        "platform": model.platform,
        "backend": _SERVER_NAME,
        "max_batch_size": model.max_batch,
        "input": [_tensor_config(spec, model.max_batch) for spec in model.inputs],
        "output": [_tensor_config(spec, model.max_batch) for spec in model.outputs],
    }


def model_statistics(models: Sequence[ServedModel], statistics: Statistics) -> Document:
    """Figures of each model since the process began, durations in nanoseconds."""
    return {"model_stats": [_figures(model, statistics) for model in models]}


def _tensor_metadata(spec: TensorSpec) -> Document:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _tensor_config(spec: TensorSpec, max_batch: int) -> Document:
    data_type = _CONFIG_TYPES.get(spec.datatype, f"TYPE_{spec.datatype}")
    dims = spec.shape[1:] if max_batch else spec.shape
    return {"name": spec.name, "data_type": data_type, "dims": list(dims)}


def _figures(model: ServedModel, statistics: Statistics) -> Document:
    ref = model.info.ref
    figures = statistics.raw(ref) if model.is_raw else statistics.inspections(ref)
    moment = figures.last_inference
    return {
        "name": model.name,
        "version": model.version,
        "last_inference": 0 if moment is None else round(moment.timestamp() * 1000),
        "inference_count": figures.inferences,
        "execution_count": figures.executions,
        "inference_stats": _durations(figures),
        "batch_stats": [
            {
                "batch_size": size,
                # Pictures are decoded and judged one by one: see inference_stats.
                "compute_input": _duration(Tally()),
                "compute_infer": _duration(tally),
                "compute_output": _duration(Tally()),
            }
            for size, tally in sorted(figures.batches.items())
        ],
    }


def _durations(figures: ModelFigures) -> Document:
    nothing = Tally()  # there is no cache
    return {
        "success": _duration(figures.success),
        "fail": _duration(figures.fail),
        "queue": _duration(figures.queue),
        "compute_input": _duration(figures.compute_input),
        "compute_infer": _duration(figures.compute_infer),
        "compute_output": _duration(figures.compute_output),
        "cache_hit": _duration(nothing),
        "cache_miss": _duration(nothing),
    }


def _duration(tally: Tally) -> Document:
    return {"count": tally.count, "ns": tally.ns}
