"""Checkpoints as safetensors: weights, averaged weights, optimiser state and progress in one file; no pickle."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mobilemamba.average import WeightAverage
from mobilemamba.optimizers import Optimizers
from mobilemamba.trained_on import TrainedOn
from mobilemamba.whole_file import whole

FORMAT = "mobilemamba-checkpoint-1"
NO_MOMENTS = "holds no optimiser state of this network"
OTHER_START = "use another checkpoint, or start a new run with model.start naming this one"


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged, or of another run."""


@dataclass(frozen=True)
class Blend:
    """How much of the weights, 0..1, is of the run's own checkpoint, and of which file the rest is."""

    share: float
    own: str
    other: str
    other_sha256: str


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        config_sha256: of the TOML file.
        epoch: epochs done.
        average_updates: updates of the weight average.
        best_map50: of the averaged weights so far, -1 before the first measurement.
        data: what it is trained and measured on; None in files of a time when they did not keep it.
        normalisation: input.mean and input.std; None likewise.
        blend: what is in these weights beside the run's own, where they are a blend (`mobilemamba.blend`).
    """

    config_sha256: str
    epoch: int
    average_updates: int
    best_map50: float
    data: TrainedOn | None = None
    normalisation: tuple[float, float] | None = None
    blend: Blend | None = None

    def require_config(self, config_sha256: str, path: Path) -> None:
        """That the checkpoint at `path` is of this configuration.

        Raises:
            CheckpointError: it is of another.
        """
        if self.config_sha256 != config_sha256:
            raise CheckpointError(
                f"{path} was not trained as this configuration says; give the one it was trained with, or start "
                "a new run"
            )

    def require_data(self, now: TrainedOn, path: Path) -> None:
        """That the checkpoint at `path` is of these data, or does not say.

        Raises:
            CheckpointError: it is of others.
        """
        differing = self.data.differences(now) if self.data is not None else []
        if differing:
            raise CheckpointError(
                f"{path} was trained on other data than are given now: {'; '.join(differing)}. "
                "Put those back, or start anew in another folder"
            )


@dataclass(frozen=True)
class RunState:
    """Everything that changes while a run goes on.

    Attributes:
        network: what is trained.
        average: its running average, what is measured and released.
        objective: the loss, which may learn something of its own.
        optimizers: of the parameters of both.
    """

    network: nn.Module
    average: WeightAverage
    objective: nn.Module
    optimizers: Optimizers

    def modules(self) -> dict[str, nn.Module]:
        """By the name under which a checkpoint holds them."""
        return {
            "network": self.network,
            "average": self.average.network,
            "objective": self.objective,
        }


def save_checkpoint(path: Path, progress: Progress, state: RunState) -> None:
    """Write beside the target, then rename: a full disk or a crash leaves the former checkpoint whole."""
    tensors: dict[str, Tensor] = {}
    for part, module in state.modules().items():
        tensors |= {f"{part}.{k}": v for k, v in module.state_dict().items()}
    for index, moments in state.optimizers.moments().items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    metadata = {"format": FORMAT, "progress": json.dumps(asdict(progress))}
    try:
        with whole(path) as partial:
            # `save_file` of some releases makes a file that its owner alone can read
            partial.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, metadata))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} could not be written: {error}") from error


def read_progress(path: Path) -> Progress:
    """The header alone.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this program ({FORMAT})")
    try:
        return _progress(json.loads(metadata["progress"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has a damaged header ({error}); use another checkpoint of the run"
        ) from error


def require_own(path: Path, config_sha256: str) -> None:
    """That the checkpoint at `path` is of this configuration, by its header: to be asked before anything takes long.

    Raises:
        CheckpointError: it is of another, missing or damaged.
    """
    read_progress(path).require_config(config_sha256, path)


def _progress(content: dict[str, Any]) -> Progress:
    data = content.get("data")
    if data is not None:
        content["data"] = TrainedOn.from_json(data)
    if content.get("normalisation") is not None:
        mean, std = content["normalisation"]
        content["normalisation"] = (float(mean), float(std))
    if content.get("blend") is not None:
        content["blend"] = Blend(**content["blend"])
    progress = Progress(**content)
    for name in ("epoch", "average_updates"):
        value = getattr(progress, name)
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {value!r}, not a count")
    best = progress.best_map50
    if type(best) not in (int, float) or not math.isfinite(best):
        raise ValueError(f"best_map50 is {best!r}, not a number")
    return progress


def load_checkpoint(path: Path, config_sha256: str, data: TrainedOn, state: RunState) -> Progress:
    """Restore a run in place.

    Raises:
        CheckpointError: missing, damaged, written by something else, of another configuration, other data or
            another network.
    """
    progress = read_progress(path)
    progress.require_config(config_sha256, path)
    progress.require_data(data, path)
    tensors = _read(path)
    for part, module in state.modules().items():
        _load_weights(path, module, tensors, f"{part}.")
    state.average.updates = progress.average_updates
    _load_moments(path, progress, tensors, state.optimizers)
    return progress


def _load_moments(
    path: Path, progress: Progress, tensors: dict[str, Tensor], optimizers: Optimizers
) -> None:
    """The optimisers' running means; PyTorch itself looks at them only when it takes a step."""
    try:
        moments = _moments(tensors, optimizers)
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{path} {NO_MOMENTS} ({error}); {OTHER_START}") from error
    if progress.epoch > 0 and not moments:
        raise CheckpointError(f"{path} {NO_MOMENTS}; {OTHER_START}")
    optimizers.restore(moments)


def _moments(tensors: dict[str, Tensor], optimizers: Optimizers) -> dict[int, dict[str, Tensor]]:
    """By the parameter's position; ValueError or IndexError where one does not fit its parameter."""
    parameters, names = optimizers.parameters, optimizers.moment_names()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            shape = () if key == "step" else parameters[int(index)].shape
            if key not in names[int(index)] or value.shape != shape:
                raise ValueError(f"{name} has the shape {tuple(value.shape)}")
            moments.setdefault(int(index), {})[key] = value
    if lacking := [i for i, held in moments.items() if len(held) < len(names[i])]:
        raise ValueError(f"that of parameter {lacking[0]} is not whole")
    return moments


def load_matching(path: Path, network: nn.Module) -> frozenset[str]:
    """Start `network` from the averaged weights of another run, as far as names and shapes agree.

    Returns:
        Names of the tensors that only one of the two has, or in another shape.

    Raises:
        CheckpointError: see `load_checkpoint`; or nothing agrees.
    """
    read_progress(path)
    prefix = "average."
    own = network.state_dict()
    found = {k.removeprefix(prefix): v for k, v in _read(path).items() if k.startswith(prefix)}
    agreeing = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    if not agreeing:
        raise CheckpointError(f"{path} has no weights that fit this network")
    network.load_state_dict(own | agreeing)
    return frozenset(own.keys() | found.keys()) - agreeing.keys()


def load_average(path: Path, network: nn.Module) -> Progress:
    """Put the averaged weights into `network`: what is measured and exported.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    progress = read_progress(path)
    _load_weights(path, network, _read(path), "average.")
    return progress


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def _load_weights(path: Path, network: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} holds another network than the configuration describes"
        ) from error
