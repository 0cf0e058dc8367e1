"""Checkpoints as safetensors: weights, averaged weights, optimiser state and progress in one file; no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from mobilemamba.average import WeightAverage

FORMAT = "mobilemamba-checkpoint-1"


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged, or of another run."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        config_sha256: of the TOML file.
        epoch: epochs done.
        average_updates: updates of the weight average.
        best_map50: of the averaged weights so far, -1 before the first measurement.
    """

    config_sha256: str
    epoch: int
    average_updates: int
    best_map50: float


@dataclass(frozen=True)
class RunState:
    """Everything that changes while a run goes on.

    Attributes:
        network: what is trained.
        average: its running average, what is measured and released.
        objective: the loss, which may learn something of its own.
        optimizer: of the parameters of both.
    """

    network: nn.Module
    average: WeightAverage
    objective: nn.Module
    optimizer: Optimizer

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
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    metadata = {"format": FORMAT, "progress": json.dumps(asdict(progress))}
    temporary = path.with_suffix(".partial")
    try:
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
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
        return Progress(**json.loads(metadata["progress"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged header") from error


def load_checkpoint(path: Path, config_sha256: str, state: RunState) -> Progress:
    """Restore a run in place.

    Raises:
        CheckpointError: missing, damaged, written by something else, of another configuration or network.
    """
    progress = read_progress(path)
    if progress.config_sha256 != config_sha256:
        raise CheckpointError(
            f"{path} belongs to another configuration; resume with that one, or start a new run"
        )
    tensors = _read(path)
    for part, module in state.modules().items():
        _load_weights(path, module, tensors, f"{part}.")
    state.average.updates = progress.average_updates
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return progress


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
