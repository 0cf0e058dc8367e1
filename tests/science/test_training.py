from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

from mobilemamba.average import WeightAverage
from mobilemamba.batches import EpochPlan
from mobilemamba.checkpoint import CheckpointError, load_average, load_matching, read_progress
from mobilemamba.config import load_config
from mobilemamba.detector import build_detector
from mobilemamba.schedule import learning_rate
from mobilemamba.train import BEST, LAST, METRICS, EpochReport, Observer, Trainer, TrainingError

CPU = torch.device("cpu")


class Recorder:
    """Keeps what it is told; raises `interrupt` after the given number of epochs."""

    def __init__(self, epochs: int = 1000) -> None:
        self.reports: list[EpochReport] = []
        self.losses: list[float] = []
        self._epochs = epochs

    def observer(self) -> Observer:
        return Observer(lambda *step: self.losses.append(step[3]), self._on_epoch)

    def _on_epoch(self, report: EpochReport) -> None:
        self.reports.append(report)
        if len(self.reports) == self._epochs:
            raise KeyboardInterrupt


def trainer(config: Path, folder: Path) -> Trainer:
    ticks = itertools.count()
    return Trainer(load_config(config), folder, CPU, clock=lambda: float(next(ticks)))


@pytest.mark.timeout(300)  # half a minute alone, more beside other work
def test_four_pictures_are_learned_by_heart(config_file, tmp_path: Path) -> None:
    config = config_file(
        "learning_rate = 0.01\naverage_decay = 0.9\nwarmup_epochs = 1\n"
        "[augment]\nmosaic = 0\nscale = [1, 1]\nstretch = 0\ntranslate = 0\nnoise = 0\n"
        "gain = 0\noffset = 0\ngamma = 1\nflip_horizontal = 0\nflip_vertical = 0",
        count=4,
        epochs=45,
    )
    recorder = Recorder()
    trainer(config, tmp_path / "run").run(recorder.observer())
    assert recorder.losses[-1] < 0.35 * recorder.losses[0]
    assert recorder.reports[-1].metrics.map50 > 0.9


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_equals_an_unbroken_one(
    config_file, same_checkpoint, tmp_path: Path, optimizer: str
) -> None:
    config = config_file(f'optimizer = "{optimizer}"')
    trainer(config, tmp_path / "whole").run(Recorder().observer())
    with pytest.raises(KeyboardInterrupt):
        trainer(config, tmp_path / "broken").run(Recorder(epochs=1).observer())
    again = trainer(config, tmp_path / "broken")
    again.resume(tmp_path / "broken" / LAST)
    again.run(Recorder().observer())

    assert same_checkpoint(tmp_path / "whole" / LAST, tmp_path / "broken" / LAST)
    lines = (tmp_path / "broken" / METRICS).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert read_progress(tmp_path / "broken" / LAST).epoch == 2
    assert (tmp_path / "broken" / BEST).exists()


def test_a_run_stopped_in_its_first_epoch_goes_on_from_its_start(
    config_file, same_checkpoint, tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    config = config_file()
    trainer(config, tmp_path / "whole").run(Recorder().observer())
    with pytest.raises(KeyboardInterrupt):
        trainer(config, tmp_path / "broken").run(Observer(stop, Recorder().observer().on_epoch))
    assert read_progress(tmp_path / "broken" / LAST).epoch == 0
    again = trainer(config, tmp_path / "broken")
    again.resume(tmp_path / "broken" / LAST)
    again.run(Recorder().observer())
    assert same_checkpoint(tmp_path / "whole" / LAST, tmp_path / "broken" / LAST)


def test_a_loss_that_is_not_finite_names_step_and_pictures(config_file, tmp_path: Path) -> None:
    run = trainer(config_file(), tmp_path / "run")
    with torch.no_grad():
        run.network.head.class_towers[0][-1].bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"the loss is nan at epoch 1, step 1, on \d\.png, "):
        run.run(Recorder().observer())
    assert not (tmp_path / "run" / LAST).exists()


def test_foreign_and_damaged_checkpoints_are_refused(config_file, tmp_path: Path) -> None:
    first = trainer(config_file(), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        first.run(Recorder(epochs=1).observer())
    checkpoint = tmp_path / "run" / LAST

    other = trainer(config_file("learning_rate = 0.001", name="other"), tmp_path / "other")
    with pytest.raises(CheckpointError, match="not trained as this configuration says"):
        other.resume(checkpoint)
    with pytest.raises(CheckpointError, match="does not exist"):
        first.resume(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="holds another network"):
        load_average(checkpoint, build_detector("nano", classes=5))
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        first.resume(damaged)
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        first.resume(text)


def test_a_checkpoint_that_cannot_be_written_leaves_the_former_one(
    config_file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(config_file(), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run.run(Recorder(epochs=1).observer())
    before = (tmp_path / "run" / LAST).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mobilemamba.checkpoint.save", full)
    with pytest.raises(CheckpointError, match=r"could not be written: .*No space left"):
        run.run(Recorder().observer())
    assert (tmp_path / "run" / LAST).read_bytes() == before
    assert list((tmp_path / "run").glob("*.partial")) == []


@pytest.mark.parametrize(("count", "pictures"), [(2, 2), (5, 4)])
def test_speed_counts_the_pictures_there_were(
    config_file, tmp_path: Path, count: int, pictures: int
) -> None:
    recorder = Recorder()
    trainer(config_file(count=count, epochs=1), tmp_path / "run").run(recorder.observer())
    assert recorder.reports[0].pictures_per_second == pictures  # in the one second of this clock


def test_learning_rate_rises_then_falls_as_a_cosine() -> None:
    rates = [learning_rate(s, 110, 10, 1.0, 0.1) for s in range(110)]
    assert rates[:10] == pytest.approx([(s + 1) / 10 for s in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_average_follows_slowly_and_counts_are_copied() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = WeightAverage(network, decay=0.9)
    start = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight.add_(1.0)
    network[1].num_batches_tracked.add_(5)
    average.updates = 10_000  # past the ramp
    average.update(network)
    assert torch.allclose(average.network[0].weight, start + 0.1)
    assert average.network[1].num_batches_tracked == 5
    assert not average.network[0].weight.requires_grad


def test_every_value_of_a_report_is_json(config_file, tmp_path: Path) -> None:
    recorder = Recorder()
    trainer(config_file(), tmp_path / "run").run(recorder.observer())
    assert set(recorder.reports[0].losses) == {"total", "box", "classes", "sides"}
    json.dumps(dataclasses.asdict(recorder.reports[0]))
    assert EpochPlan.steps(trainer(config_file(name="b"), tmp_path)._plan, 3) == 1


def test_a_run_can_start_from_the_weights_of_another(config_file, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer(config_file(), tmp_path / "first").run(Recorder(epochs=1).observer())
    start = tmp_path / "first" / LAST
    config = config_file(name="second")
    config.write_text(
        config.read_text().replace("[model]\n", f'[model]\nstart = "{start.as_posix()}"\n')
    )
    reference = build_detector("nano", classes=2)
    load_average(start, reference)
    second = trainer(config, tmp_path / "second").network.state_dict()
    assert all(v.equal(second[k]) for k, v in reference.state_dict().items())

    three = build_detector("nano", classes=3)
    differing = load_matching(start, three)
    assert differing == {f"head.{name}" for name in three.head.class_layer_names()}
    with pytest.raises(CheckpointError, match="has no weights that fit this network"):
        load_matching(start, torch.nn.Linear(2, 2))


def test_mixed_precision_computes_in_bfloat16_and_learns_in_float32(
    config_file, tmp_path: Path
) -> None:
    plain = trainer(config_file(), tmp_path / "plain")
    mixed = trainer(config_file("mixed_precision = true", name="mixed"), tmp_path / "mixed")
    kinds = set()
    mixed.network.head.class_towers[0][-1].register_forward_hook(
        lambda module, given, out: kinds.add(out.dtype)
    )
    losses = []
    for run in (plain, mixed):
        recorder = Recorder(epochs=1)
        with pytest.raises(KeyboardInterrupt):
            run.run(recorder.observer())
        losses.append(recorder.losses[0])
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in mixed.network.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_one_class_alone_is_learned_with_both_contrasts(config_file, tmp_path: Path) -> None:
    config = config_file("[contrast]\nbackground_weight = 0.5\nprediction_weight = 0.5\n", count=4)
    path = tmp_path / "run-data" / "annotations.json"
    content = json.loads(path.read_text())
    content["categories"] = content["categories"][:1]
    for entry in content["annotations"]:
        entry["category_id"] = 0
    path.write_text(json.dumps(content))
    recorder = Recorder(epochs=1)
    with pytest.raises(KeyboardInterrupt):
        trainer(config, tmp_path / "run").run(recorder.observer())
    assert set(recorder.reports[0].losses) >= {"background", "predictions"}
    assert all(0 <= value < 1000 for value in recorder.reports[0].losses.values())
