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


def save_checkpoint(
    path: Path, progress: Progress, network: nn.Module, average: WeightAverage, optimizer: Optimizer
) -> None:
    """Write beside the target, then rename: a full disk or a crash leaves the former checkpoint whole."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
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


def load_checkpoint(
    path: Path, config_sha256: str, network: nn.Module, average: WeightAverage, optimizer: Optimizer
) -> Progress:
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
    _load_weights(path, network, tensors, "network.")
    _load_weights(path, average.network, tensors, "average.")
    average.updates = progress.average_updates
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    return progress


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
