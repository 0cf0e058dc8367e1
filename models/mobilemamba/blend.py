"""Weights between those of an earlier network and those that a run from it ended with.

A run that teaches a released network something more (the edge of a strip, other light) forgets some of what it knew.
The mean of before and after often keeps more of both than either (Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022). Only where the one came from the other: networks of separate origin have no mean.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from flawspec.artifact import sha256_file
from mobilemamba.checkpoint import (
    Blend,
    CheckpointError,
    Progress,
    load_average,
    require_own,
    save_checkpoint,
)
from mobilemamba.config import RunConfig, expand_path
from mobilemamba.evaluate import Metrics
from mobilemamba.train import Trainer
from mobilemamba.watching import Watch, unwatched

# Cosine of two kernels that point against one another.
OPPOSED = -0.5
# Share of kernels: after long runs up to 0.04, of one network in two forms 0.15.
MOST_OPPOSED = 0.08


def blend(
    config: RunConfig,
    checkpoint: Path,
    other: Path,
    share: float,
    out: Path,
    watch: Watch = unwatched,
) -> Metrics:
    """Write ``share * checkpoint + (1 - share) * other``: averaged weights, and the statistics of batch norms.

    Args:
        config: of the run that ended with `checkpoint`.
        checkpoint: its own, no blend.
        other: artifact or checkpoint of the same classes that the run came from, in one run or several; `$NAME` in it
            is taken from the environment, as in `model.start`.
        share: 0..1.
        out: a checkpoint for `export`; without what an optimiser remembers, so that no run goes on from it.
        watch: told of pictures that are read.

    Returns:
        Metrics of the blend on the validation set.

    Raises:
        CheckpointError: one of the two does not fit, or is in another form; `checkpoint` is of another run, or a blend;
            or `out` exists.
        ConfigError, DatasetError: see `sets.load_sets`.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give another file")
    other = expand_path(str(other))
    require_own(checkpoint, config.sha256)  # before all pictures are read
    earlier = replace(config, model=replace(config.model, start=str(other)))
    trainer = Trainer(earlier, out.parent, torch.device("cpu"), watch=watch)
    if trainer.started is None or not trainer.started.with_classes:
        raise CheckpointError(f"{other} is of other classes, so there is nothing to blend with")
    ended, progress = _ended(trainer, checkpoint)
    _require_one_form(trainer.network, other, ended, checkpoint)
    _move_towards(trainer.state.average.network, ended, share)
    metrics = trainer.evaluate()
    made = Blend(share, checkpoint.name, other.name, sha256_file(other))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Of the state, `export` reads the average alone.
    save_checkpoint(out, replace(progress, best_map50=metrics.map50, blend=made), trainer.state)
    return metrics


def _ended(trainer: Trainer, checkpoint: Path) -> tuple[nn.Module, Progress]:
    """The network that the run ended with, which is no blend itself, and of the same data."""
    network = copy.deepcopy(trainer.network)
    progress = load_average(checkpoint, network)
    progress.require_data(trainer.data, checkpoint)
    if progress.blend is not None:
        raise CheckpointError(f"{checkpoint} is a blend itself; give the run's own checkpoint")
    return network, progress


@torch.no_grad()
def _require_one_form(earlier: nn.Module, other: Path, ended: nn.Module, checkpoint: Path) -> None:
    """That few kernels, of one output channel each, point against those of the other network.

    An artifact does not hold the sign of a norm's weight: read back, the kernel before it has that sign.

    Raises:
        CheckpointError: many do.
    """
    theirs = ended.state_dict()
    cosines = [
        F.cosine_similarity(value.flatten(1), theirs[name].flatten(1))
        for name, value in earlier.state_dict().items()
        if value.ndim == 4 and len(value) > 1  # a scale by channel is [1, C, 1, 1]
    ]
    opposed = float((torch.cat(cosines) < OPPOSED).float().mean())
    if opposed > MOST_OPPOSED:
        raise CheckpointError(
            f"{opposed:.0%} of the kernels of {other} point against those of {checkpoint}, so that their mean is "
            "neither: it is another network, or the same in another form, as an artifact is of the checkpoint that it "
            "was exported from. Give the very file that the run, or the first of several, started from"
        )


@torch.no_grad()
def _move_towards(network: nn.Module, other: nn.Module, share: float) -> None:
    theirs = other.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[name], share)
