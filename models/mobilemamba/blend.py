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

from flawspec.artifact import sha256_file
from mobilemamba.checkpoint import Blend, CheckpointError, load_average, save_checkpoint
from mobilemamba.config import RunConfig, expand_path
from mobilemamba.evaluate import Metrics
from mobilemamba.train import Trainer


def blend(config: RunConfig, checkpoint: Path, other: Path, share: float, out: Path) -> Metrics:
    """Write ``share * checkpoint + (1 - share) * other``: averaged weights, and the statistics of batch norms.

    Args:
        config: of the run that ended with `checkpoint`.
        checkpoint: its own, no blend.
        other: artifact or checkpoint of the same classes that the run came from, in one run or several; `$NAME` in it
            is taken from the environment, as in `model.start`.
        share: 0..1.
        out: a checkpoint for `export`; without what an optimiser remembers, so that no run goes on from it.

    Returns:
        Metrics of the blend on the validation set.

    Raises:
        CheckpointError: one of the two does not fit; `checkpoint` is of another run, or a blend; or `out` exists.
        ConfigError, DatasetError: see `sets.load_sets`.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give another file")
    other = expand_path(str(other))
    earlier = replace(config, model=replace(config.model, start=str(other)))
    trainer = Trainer(earlier, out.parent, torch.device("cpu"))
    if trainer.started is None or not trainer.started.with_classes:
        raise CheckpointError(f"{other} is of other classes, so there is nothing to blend with")
    ended = copy.deepcopy(trainer.network)
    progress = load_average(checkpoint, ended)
    progress.require_config(config.sha256, checkpoint)
    progress.require_data(trainer.data, checkpoint)
    if progress.blend is not None:
        raise CheckpointError(f"{checkpoint} is a blend itself; give the run's own checkpoint")
    _move_towards(trainer.state.average.network, ended, share)
    metrics = trainer.evaluate()
    made = Blend(share, checkpoint.name, other.name, sha256_file(other))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Of the state, `export` reads the average alone.
    save_checkpoint(out, replace(progress, best_map50=metrics.map50, blend=made), trainer.state)
    return metrics


@torch.no_grad()
def _move_towards(network: nn.Module, other: nn.Module, share: float) -> None:
    theirs = other.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[name], share)
