"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from mobilemamba.average import WeightAverage
from mobilemamba.batches import Batch, EpochPlan
from mobilemamba.cautions import cautions
from mobilemamba.checkpoint import (
    Progress,
    RunState,
    load_checkpoint,
    save_checkpoint,
)
from mobilemamba.config import RunConfig, expand_path
from mobilemamba.dataset import Dataset
from mobilemamba.detector import Detector
from mobilemamba.epoch_log import append_epoch, keep_epochs
from mobilemamba.evaluate import (
    NMS_IOU_THRESHOLD,
    Detections,
    InputGeometry,
    Metrics,
    detect,
    measure,
    network_predictor,
)
from mobilemamba.objective import Objective
from mobilemamba.optimizers import optimizers_for
from mobilemamba.schedule import learning_rate
from mobilemamba.sets import load_sets
from mobilemamba.start import Started, start_from
from mobilemamba.trained_on import TrainedOn
from mobilemamba.watching import Watch, unwatched
from mobilemamba.wrapper import ArtifactNetwork, normalise

LAST, BEST, METRICS = "last.safetensors", "best.safetensors", "metrics.jsonl"


class TrainingError(Exception):
    """Training cannot go on; the message says at which step and on which pictures."""


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch: mean losses, last rate, speed, and metrics of the averaged weights."""

    epoch: int
    epochs: int
    losses: dict[str, float]
    learning_rate: float
    pictures_per_second: float
    metrics: Metrics | None


@dataclass(frozen=True)
class Observer:
    """Who watches a run: called after each step (epoch, step, steps, loss), and after each epoch.

    And at the start, with each sentence of `cautions`.
    """

    on_step: Callable[[int, int, int, float], None]
    on_epoch: Callable[[EpochReport], None]
    on_caution: Callable[[str], None] = lambda _: None


class Trainer:
    """One run in one folder: `last.safetensors` after every epoch, `best.safetensors` by mAP50 on the validation set.

    Args:
        config: of the run.
        folder: where checkpoints and `metrics.jsonl` go; made if missing.
        device: to compute on.
        clock: seconds, monotonic.
        sets: what `load_sets` gives for `config`; where a run is one of several on parts of them, these parts, as
            `config` names them.
        watch: told of pictures that are read before the first step.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
        sets: list[Dataset] | None = None,
        watch: Watch = unwatched,
    ) -> None:
        self.config, self.folder, self.device, self._clock = config, folder, device, clock
        sets = sets if sets is not None else load_sets(config, watch)
        *training, self.val = sets
        self.samples = tuple(sample for dataset in training for sample in dataset.samples)
        torch.manual_seed(config.seed)
        detector = config.model.build(len(self.val.labels.names))
        self.started: Started | None = None  # what was taken from model.start
        if config.model.start:
            start = expand_path(config.model.start)
            self.started = start_from(
                start, detector, config.model, self.val.labels, config.input, self.samples
            )
        self.network = detector.to(device, memory_format=torch.channels_last)
        self.state = _start(self.network, config, device)
        self.data = TrainedOn.of(config, sets, watch)
        normalisation = (config.input.mean, config.input.std)
        self.progress = Progress(config.sha256, 0, 0, -1.0, self.data, normalisation)
        self._plan = EpochPlan(
            config.training.batch_size,
            (config.input.height_px, config.input.width_px),
            config.input.pad_value,
            config.seed,
            config.augment,
        )

    def resume(self, checkpoint: Path) -> None:
        """Go on where `checkpoint` stopped; what follows equals an unbroken run.

        A checkpoint that does not say what it was trained on is taken; what follows from it does not say so either.

        Raises:
            CheckpointError: see `checkpoint.load_checkpoint`.
        """
        self.progress = load_checkpoint(checkpoint, self.config.sha256, self.data, self.state)

    def run(self, observer: Observer, *, of_several: bool = False) -> None:
        """Train to the last epoch; who runs `of_several` says the `cautions` of their data.

        Raises:
            TrainingError: the loss is not finite.
            CheckpointError, OSError: a checkpoint, or `metrics.jsonl`, cannot be written.
        """
        val = self.val
        if not of_several:
            for sentence in cautions(self.samples, val.samples, val.labels, self.config.input):
                observer.on_caution(sentence)
        self.folder.mkdir(parents=True, exist_ok=True)
        keep_epochs(self.folder / METRICS, self.progress.epoch)
        if self.progress.epoch == 0:  # who stops the first epoch shall be able to go on as well
            save_checkpoint(self.folder / LAST, self.progress, self.state)
        for epoch in range(self.progress.epoch, self.config.training.epochs):
            try:
                report = self._train_epoch(epoch, observer)
            except (TrainingError, torch.OutOfMemoryError):
                if epoch == 0:  # nothing learned that would stand in the way of another attempt
                    (self.folder / LAST).unlink(missing_ok=True)
                raise
            every = self.config.training.evaluate_every
            if (epoch + 1) % every == 0 or epoch + 1 == self.config.training.epochs:
                report = replace(report, metrics=self.evaluate())
            self._finish_epoch(report)
            observer.on_epoch(report)

    def evaluate(self) -> Metrics:
        """Metrics of the averaged weights on the validation set."""
        return measure(self.val, self.detections())

    def detections(self) -> list[Detections]:
        """What the averaged weights find in the validation set."""
        settings = self.config.input
        network = ArtifactNetwork(self.state.average.network, settings.mean, settings.std)
        geometry = InputGeometry(
            settings.width_px, settings.height_px, settings.pad_value, NMS_IOU_THRESHOLD
        )
        predict = network_predictor(network, self.device)
        return list(detect(self.val.samples, predict, geometry))

    def _train_epoch(self, epoch: int, observer: Observer) -> EpochReport:
        settings = self.config.training
        self.network.train()
        steps = self._plan.steps(len(self.samples))
        sums: dict[str, float] = {}
        rate, pictures, started = 0.0, 0, self._clock()
        allow_mosaic = epoch < settings.epochs - settings.plain_epochs
        for step, batch in enumerate(self._plan.batches(self.samples, epoch, allow_mosaic)):
            rate = learning_rate(
                epoch * steps + step,
                settings.epochs * steps,
                math.ceil(settings.warmup_epochs * steps),
                settings.learning_rate,
                settings.final_share,
            )
            losses = self._step(batch, rate, epoch, step)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            pictures += len(batch.names)
            observer.on_step(epoch, step + 1, steps, losses["total"])
        seconds = self._clock() - started
        means = {name: value / steps for name, value in sums.items()}
        speed = pictures / seconds if seconds > 0 else math.nan
        return EpochReport(epoch + 1, settings.epochs, means, rate, speed, None)

    def _step(self, batch: Batch, rate: float, epoch: int, step: int) -> dict[str, float]:
        losses = self._losses(batch, epoch + step / self._plan.steps(len(self.samples)))
        if not torch.isfinite(losses["total"]):
            raise TrainingError(
                f"the loss is {losses['total'].item()} at epoch {epoch + 1}, step {step + 1}, on "
                f"{', '.join(batch.names)}; lower training.learning_rate or look at these pictures"
            )
        losses["total"].backward()
        optimizers = self.state.optimizers
        nn.utils.clip_grad_norm_(optimizers.parameters, self.config.training.clip_norm)
        optimizers.step(rate)
        self.state.average.update(self.network)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, batch: Batch, epochs_done: float) -> dict[str, Tensor]:
        settings = self.config.input
        pictures = normalise(batch.pictures.to(self.device), settings.mean, settings.std)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.training.mixed_precision
        ):
            predictions = self.network(pictures)
        predictions = predictions.in_float32()
        return self.state.objective(predictions, batch.targets.to(self.device), epochs_done)

    def _finish_epoch(self, report: EpochReport) -> None:
        measured = report.metrics.map50 if report.metrics else math.nan
        improved = measured > self.progress.best_map50
        best = measured if improved else self.progress.best_map50
        self.progress = replace(
            self.progress,
            epoch=report.epoch,
            average_updates=self.state.average.updates,
            best_map50=best,
        )
        # in this order: a crash between two of them loses nothing that the last one knows of
        append_epoch(self.folder / METRICS, asdict(report))
        if improved:
            save_checkpoint(self.folder / BEST, self.progress, self.state)
        save_checkpoint(self.folder / LAST, self.progress, self.state)


def _start(network: Detector, config: RunConfig, device: torch.device) -> RunState:
    channels, settings = network.neck.channels, config.training
    objective = Objective(config.loss, config.contrast, channels).to(device)
    optimizers = optimizers_for(
        network, objective, settings.optimizer, settings.learning_rate, settings.weight_decay
    )
    average = WeightAverage(network, settings.average_decay)
    return RunState(network, average, objective, optimizers)
