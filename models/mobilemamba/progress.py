"""What a person sees of a training run: a bar for the epoch, a line for each finished one."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobilemamba.evaluate import shown
from mobilemamba.train import EpochReport, Observer


class TrainingDisplay:
    """A context manager around one or several of `Trainer.run`; where no bar can move only the lines appear.

    The bar is there from a run's first step to its last epoch: what is read or compared around it has its own lines.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_interactive,
        )
        self._task = self._progress.add_task("", epoch=1, loss=float("nan"), total=None)

    def observer(self) -> Observer:
        """To hand to `Trainer.run`."""
        return Observer(self._on_step, self._on_epoch, self._on_caution)

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if step == 1:  # a full bar keeps its time, 0:00:00, though it be emptied
            self._progress.reset(self._task, total=steps, epoch=epoch + 1, loss=loss)
        self._progress.update(self._task, completed=step, total=steps, epoch=epoch + 1, loss=loss)
        self._progress.start()

    def _on_epoch(self, report: EpochReport) -> None:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        measured = ""
        if report.metrics is not None:
            found = (report.metrics.map50, report.metrics.map50_95)
            measured = "; mAP50 {}, mAP50-95 {}".format(*(shown(value, ".4f") for value in found))
        self._console.print(
            f"epoch {report.epoch}/{report.epochs}: {losses}; {report.pictures_per_second:.0f} pictures/s{measured}",
            soft_wrap=True,  # one line in a log file too
        )
        if report.epoch == report.epochs:
            self._stop()

    def _stop(self) -> None:
        if self._progress.live.is_started:  # before, older rich would print an empty line
            self._progress.stop()

    def _on_caution(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
