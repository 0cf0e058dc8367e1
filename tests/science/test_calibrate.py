from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mobilemamba_command import run
from tiny_artifact import release_tiny_artifact

from flawspec.labels import LabelSet
from flawspec.manifest import TrainingData
from mobilemamba import release
from mobilemamba.calibrate import (
    CalibrationError,
    Promise,
    calibrate,
    calibrate_false_rejects,
    least_pictures,
    upper_bound,
)
from mobilemamba.chosen_thresholds import ChosenThresholds
from mobilemamba.config import InputConfig
from mobilemamba.dataset import load_clean, load_dataset
from mobilemamba.evaluate import Detections
from mobilemamba.operating_point import false_alarm_pictures


def picture(*scored: tuple[int, float]) -> Detections:
    scores = np.array([s for _, s in scored], dtype=np.float32)
    ids = np.array([c for c, _ in scored], dtype=np.int64)
    return Detections(np.zeros((len(scored), 4), np.float32), scores, ids)


@pytest.mark.parametrize(
    ("events", "trials", "confidence", "expected"),
    [  # each solves P(X <= events) = 1 - confidence
        (0, 100, 0.95, 1 - 0.05 ** (1 / 100)),
        (1, 100, 0.95, 0.0466),
        (5, 50, 0.90, 0.1776),
        (10, 10, 0.95, 1.0),
    ],
)
def test_exact_binomial_bound(events: int, trials: int, confidence: float, expected: float) -> None:
    assert upper_bound(events, trials, confidence) == pytest.approx(expected, abs=1e-4)


def test_the_bound_covers_as_often_as_it_says() -> None:
    """Of many experiments with a true rate of 0.07, at least 90 % have the rate below their bound."""
    rng = np.random.default_rng(0)
    escapes = rng.binomial(80, 0.07, size=2000)
    bounds = {int(k): upper_bound(int(k), 80, 0.9) for k in np.unique(escapes)}
    assert np.mean([bounds[int(k)] >= 0.07 for k in escapes]) >= 0.9


def test_least_pictures_is_the_rule_of_three() -> None:
    assert least_pictures(Promise(0.01, 0.95)) == 299
    assert least_pictures(Promise(0.05, 0.95)) == 59


def test_the_smallest_rates_need_a_number_of_pictures_too() -> None:
    assert least_pictures(Promise(1e-17, 0.95)) == pytest.approx(-math.log(0.05) * 1e17)
    assert least_pictures(Promise(5e-324, 0.95)) > 10**300
    assert least_pictures(Promise(0.5, 1e-17)) == 1
    with pytest.raises(CalibrationError, match=r"at least 29957\d+ are needed"):
        calibrate([picture((0, 0.9))], [], (0.5,), Promise(1e-17, 0.95))


def test_thresholds_are_the_most_tolerant_that_keep_the_promise() -> None:
    rng = np.random.default_rng(1)
    defective = [picture((int(rng.integers(2)), float(s))) for s in rng.uniform(0.2, 0.95, 300)]
    clean = [picture((0, float(s))) for s in rng.uniform(0.01, 0.4, 100)] + [picture()]
    promise = Promise(0.05, 0.95)
    found = calibrate(defective, clean, (0.5, 0.5), promise)
    limits = np.array(found.thresholds)
    assert found.escape_bound <= 0.05
    assert found.escapes == sum((p.scores < limits[p.class_ids]).all() for p in defective)
    assert found.false_rejects == sum((p.scores >= limits[p.class_ids]).any() for p in clean)
    assert found.clean == 101
    assert found.false_rejects / 101 < found.false_reject_bound < 1
    # one step further would break the promise
    further = 1 / (1 + np.exp(-(np.log(limits / (1 - limits)) + 0.11)))
    escapes = sum((p.scores < further[p.class_ids]).all() for p in defective)
    assert upper_bound(escapes, 300, 0.95) > 0.05


def test_classes_keep_their_distance() -> None:
    defective = [picture((i % 2, 0.9)) for i in range(100)]
    found = calibrate(defective, [], (0.2, 0.6), Promise(0.05, 0.95))
    low, high = (math.log(t / (1 - t)) for t in found.thresholds)
    assert high - low == pytest.approx(math.log(0.6 / 0.4) - math.log(0.2 / 0.8), abs=0.02)
    assert found.false_reject_bound == 1.0


def test_too_few_pictures_are_told_how_many_are_needed() -> None:
    with pytest.raises(CalibrationError, match="at least 299 are needed"):
        calibrate([picture((0, 0.9))] * 50, [], (0.5,), Promise(0.01, 0.95))


def test_a_model_that_misses_too_much_is_told_what_it_can_promise() -> None:
    defective = [picture((0, 0.9))] * 90 + [picture()] * 10
    with pytest.raises(
        CalibrationError, match=r"10 of 100 defective pictures pass, .* of 0\.1\d\d is"
    ):
        calibrate(defective, [], (0.5,), Promise(0.05, 0.95))


def test_thresholds_for_false_rejects_are_the_most_sensitive_that_keep_the_promise() -> None:
    rng = np.random.default_rng(2)
    clean = [picture((int(rng.integers(2)), float(s))) for s in rng.beta(1, 12, 300)]
    defective = [picture((0, float(s))) for s in rng.uniform(0.1, 0.9, 200)] + [picture()]
    found = calibrate_false_rejects(defective, clean, (0.5, 0.5), 1 / 60, 0.9)
    limits = np.array(found.thresholds)
    assert found.false_reject_bound <= 1 / 60
    assert found.false_rejects == sum((p.scores >= limits[p.class_ids]).any() for p in clean)
    assert found.escapes == sum((p.scores < limits[p.class_ids]).all() for p in defective)
    further = 1 / (1 + np.exp(-(np.log(limits / (1 - limits)) - 0.11)))
    rejects = sum((p.scores >= further[p.class_ids]).any() for p in clean)
    assert upper_bound(rejects, 300, 0.9) > 1 / 60


def test_what_cannot_be_said_of_false_rejects() -> None:
    with pytest.raises(CalibrationError, match="at least 59 are needed, none of them reported"):
        calibrate_false_rejects([], [picture()] * 50, (0.5,), 0.05, 0.95)
    clean = [picture((0, 0.9999))] * 9 + [picture()] * 91
    with pytest.raises(CalibrationError, match="even at the highest thresholds 9 of 100 pictures"):
        calibrate_false_rejects([], clean, (0.5,), 0.05, 0.95)


def test_printed_thresholds_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(
        '{"false_reject_rate": 0.02, "confidence": 0.95, "defective": 8, "clean": 300,'
        ' "thresholds": {"pit": 0.4, "dent": 0.5}}'
    )
    chosen = ChosenThresholds.load(path)
    assert chosen.of(("dent", "pit")) == (0.5, 0.4)
    origin = chosen.origin("c", ["1"], ["1"])
    assert "a false reject rate of at most 0.02 with 0.95 confidence, on 8 pictures" in origin
    assert "none of these" not in origin, "an old file does not say on which pictures"
    assert origin.endswith("is not recorded. With which network is not recorded.")
    with pytest.raises(CalibrationError, match="are for pit, dent, the network knows pit"):
        chosen.of(("pit",))
    for other in ("[1]", '{"thresholds": {"pit": NaN}}', '{"thresholds": {"pit": 1.5}}'):
        path.write_text(other)
        with pytest.raises(CalibrationError, match="is not what calibrate prints"):
            ChosenThresholds.load(path)


@pytest.mark.parametrize(
    ("name", "config", "shown", "words"),
    [
        (
            "a.onnx",
            "c",
            ["7"],
            "without, none of these (by pixels). The detections are those of `a",
        ),
        ("a.onnx", "c", ["1", "7"], "without; 1 of them are among these. The"),
        ("a.onnx", "d", ["7"], "trained by another configuration. 2 of the pictures were trained"),
        (
            "crossval",
            "c",
            ["7"],
            "a cross-validation of this configuration: each picture's by a network that was not",
        ),
        ("crossval", "d", ["7"], "those of a cross-validation of another configuration: each"),
    ],
)
def test_a_card_says_of_thresholds_what_their_file_shows(
    name: str, config: str, shown: list[str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    document = {
        "escape_rate": 0.02,
        "confidence": 0.95,
        "defective": 3,
        "clean": 0,
        "thresholds": {"pit": 0.4},
        "source": {"name": name, "sha256": "5" * 64, "config_sha256": config},
        "pictures_sha256": "1 2 3",
    }
    path.write_text(json.dumps(document))
    assert words in ChosenThresholds.load(path).origin("c", shown, ["2", "3", "4"])


def test_thresholds_of_other_classes_are_refused_before_anything_is_exported(
    config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    path = tmp_path / "thresholds.json"
    promised = {"escape_rate": 0.1, "confidence": 0.9, "defective": 9, "clean": 9}
    path.write_text(json.dumps(promised | {"thresholds": {"pit": 0.5}}))
    monkeypatch.setattr("mobilemamba.release.require_own", lambda *_: None)
    monkeypatch.setattr("mobilemamba.release._trained", None)
    command = ["export", config_file(), tmp_path / "best", "--out", tmp_path / "out"]
    assert run(monkeypatch, *command, "--thresholds", path) == 2
    assert "the thresholds are for pit, the network knows dark, bright" in capsys.readouterr().err


@pytest.mark.parametrize("promised", ["--escape-rate", "--false-reject-rate"])
def test_too_few_pictures_are_told_of_before_any_is_looked_at(
    coco_folder, tmp_path: Path, monkeypatch, capsys, promised: str
) -> None:
    data = coco_folder(count=6)
    artifact = release_tiny_artifact(tmp_path, labels=LabelSet(("dark", "bright")))
    monkeypatch.setattr(
        "mobilemamba.commands.thresholds.evaluate_samples", lambda *_: pytest.fail("measured")
    )
    given = ["--coco", data / "annotations.json", "--images", data / "images"]
    clean = ["--clean", data / "images"]  # copies are no further evidence
    assert run(monkeypatch, "calibrate", artifact, *given, *clean, promised, "0.2") == 2
    kind = "6 defective pictures" if promised == "--escape-rate" else "0 pictures without a flaw"
    said = capsys.readouterr().err
    assert f"{kind} cannot support" in said
    assert "6 pictures are given again and are counted once\n" in said, "which is why"


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_figures_on_pictures_that_were_trained_on_come_with_a_caution(
    coco_folder, tmp_path: Path, monkeypatch, capsys, command: str
) -> None:
    data, new = coco_folder(count=2), coco_folder(count=2, seed=1, name="new")
    labels = LabelSet(("dark", "bright"))
    learned = tuple(
        TrainingData("squares", "train", 2, load_dataset(*read, labels).sha256)
        for read in ((data / "annotations.json", data / "images"), (None, data / "images"))
    )
    artifact = release_tiny_artifact(tmp_path, labels=labels, training_data=learned)
    rest = ["--out", tmp_path / "page"] if command == "report" else ["--clean", data / "images"]
    said = "caution: {} was trained on {}; figures on these pictures promise nothing for others\n"
    for folder in (data, new):
        given = ["--coco", folder / "annotations.json", "--images", folder / "images"]
        assert run(monkeypatch, command, artifact, *given, *rest) == 0
        cautions = capsys.readouterr().err
        at_coco = said.format(artifact.name, folder / "annotations.json") in cautions
        assert at_coco == (folder == data)
        assert (said.format(artifact.name, data / "images") in cautions) == (command == "evaluate")


def test_clean_pictures_are_counted_wherever_they_are_listed(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    data, clean = coco_folder(count=3), coco_folder(count=2, seed=1, name="clean") / "images"
    content = json.loads((data / "annotations.json").read_text())
    content["annotations"].pop()  # one of three has no flaw, as a card would count it
    (data / "annotations.json").write_text(json.dumps(content))
    artifact = release_tiny_artifact(tmp_path, labels=LabelSet(("dark", "bright")))
    given = ["--coco", data / "annotations.json", "--images", data / "images", "--json"]
    for rest, count in (([], 1), (["--clean", clean], 3)):
        assert run(monkeypatch, "evaluate", artifact, *given, *rest) == 0
        assert json.loads(capsys.readouterr().out)["overall"]["clean_pictures"] == count


def test_evaluate_and_the_card_count_each_clean_picture_once(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    data, clean = coco_folder(count=3), coco_folder(count=2, seed=1, name="clean") / "images"
    content = json.loads((data / "annotations.json").read_text())
    content["annotations"].pop()
    (data / "annotations.json").write_text(json.dumps(content))
    for number in range(3):  # two with a flaw, and the one without
        shutil.copy(data / "images" / f"{number}.png", clean / f"copy of {number}.png")
    shutil.copy(clean / "0.png", clean / "0 again.png")
    artifact = release_tiny_artifact(tmp_path, labels=LabelSet(("dark", "bright")))
    given = ["--coco", data / "annotations.json", "--images", data / "images", "--json"]
    assert run(monkeypatch, "evaluate", artifact, *given, "--clean", clean) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["overall"]["clean_pictures"] == 3
    assert "4 pictures are given again and are counted once\n" in printed.err

    monkeypatch.setattr(release, "artifact_predictor", lambda _: None)
    monkeypatch.setattr(release, "require_answers", lambda *_: None)
    monkeypatch.setattr(release, "detect", lambda samples, *_: [picture()] * len(samples))
    graph = SimpleNamespace(SerializeToString=bytes)
    config = SimpleNamespace(input=InputConfig())
    request = SimpleNamespace(config=config, clean=load_clean(clean))
    val = load_dataset(data / "annotations.json", data / "images")
    said: list[str] = []
    found = release._found(graph, request, val, said.append)
    assert [s.name for s in found.shown.samples[3:]] == ["0 again.png", "1.png"]
    assert false_alarm_pictures(found.shown.samples, found.in_all, (0.5, 0.5)) == (0, 3)
    assert said == ["4 clean pictures are given again and are counted once"]


@pytest.mark.parametrize("reason", ["is there", "is of another run"])
def test_what_cannot_be_exported_is_told_before_clean_pictures_are_read(
    config_file, tmp_path: Path, monkeypatch, reason: str
) -> None:
    config, checkpoint = config_file(), tmp_path / "best.safetensors"
    checkpoint.write_bytes(b"none")
    if reason == "is there":
        (tmp_path / "mobilemamba-nano-squares-0.1.0.onnx").touch()
    monkeypatch.setattr(
        "mobilemamba.commands.training.load_clean", lambda *_: pytest.fail("read them")
    )
    command = ["export", config, checkpoint, "--out", tmp_path, "--clean", tmp_path]
    assert run(monkeypatch, *command) == 2
