"""What a run is told of its data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from flawline.settings.watching import WatchSettings
from flawspec.labels import LabelSet
from mobilemamba.ablation import Protocol, ablate
from mobilemamba.cautions import LEAST_BRIGHTNESS, cautions, cautions_of_pictures
from mobilemamba.config import InputConfig, load_config
from mobilemamba.crossval import cross_validate
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections
from mobilemamba.pictures import OnDisk
from mobilemamba.train import Observer

PIT = LabelSet(("pit",))


def picture(name: str, level: int, *boxes: tuple[float, float, float, float]) -> Sample:
    grey = np.full((400, 500), 100 + level, np.uint8)
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(name, 1, grey, xyxy, np.zeros(len(boxes), np.int64))


def test_pictures_of_both_sides_are_named_whatever_they_are_called() -> None:
    training = [picture(f"{i}.png", i, (0, 0, 9, 9)) for i in range(8)]
    copies = [dataclasses.replace(s, name=f"copy of {s.name}") for s in training[:2]]
    (said,) = cautions(training, [picture("new.png", 99), *copies], PIT, InputConfig())
    assert said.startswith("caution: 2 of 3 validation pictures are trained on as well (copy of 0")
    assert "copy of 1.png), so figures" in said
    (said,) = cautions(training, training, PIT, InputConfig())
    assert "8 of 8 validation pictures" in said
    assert "4.png, ...)" in said
    assert cautions(training, [picture("new.png", 99, (0, 0, 9, 9))], PIT, InputConfig()) == ()


def test_flaws_longer_than_the_network_can_say_are_counted() -> None:
    seam = (10, 5, 410, 15)  # 400 of 500 px
    training = [picture("seam.png", 1, seam, (0, 0, 9, 9)), picture("b.png", 2, (0, 0, 40, 40))]
    val = [picture("c.png", 3, (20, 20, 30, 380))]  # 360 px
    assert cautions(training, val, PIT, InputConfig(1152, 1152)) == ()
    (said,) = cautions(training, val, PIT, InputConfig(1280, 1280))
    assert said.startswith("caution: 1 of 4 boxes are longer than 960 px in the input of 1280x1280")
    assert "(seam.png)" in said
    (said,) = cautions(training, val, PIT, InputConfig(1408, 1408))
    assert "2 of 4 boxes" in said
    assert "(seam.png, c.png)" in said


def test_classes_that_no_picture_shows_are_named() -> None:
    labels = LabelSet(
        ("flaws", "pit", "dent", "seam")
    )  # the first is what Roboflow puts above the others
    box = (0, 0, 9, 9)
    pit = dataclasses.replace(picture("pit.png", 1, box), class_ids=np.array([1]))
    dent = dataclasses.replace(picture("dent.png", 2, box), class_ids=np.array([2]))
    seam = dataclasses.replace(picture("seam.png", 3, box, box), class_ids=np.array([1, 3]))
    untaught, unmeasured = cautions([pit, dent], [seam], labels, InputConfig())
    assert "no training picture has a flaw of the class flaws or seam, so none" in untaught
    assert "no validation picture has a flaw of the class dent, so" in unmeasured


def test_pictures_that_the_service_would_call_black_are_told_of() -> None:
    bright = picture("bright.png", 1, (0, 0, 9, 9))
    stored_as_16 = np.full((400, 500), 2048 // 257, np.uint8)  # half of full scale, of 12 bits
    dark = [dataclasses.replace(bright, name=f"{i}.tif", pixels=stored_as_16) for i in range(60)]
    (said,) = cautions(dark, [picture("val.png", 2, (0, 0, 9, 9))], PIT, InputConfig())
    assert "32 of 32 pictures that were looked at are nearly black (0.tif, 1.tif, " in said
    (said,) = cautions([bright], dark[:3], PIT, InputConfig())
    assert "3 of 4 pictures" in said
    assert WatchSettings.model_fields["min_brightness"].default == LEAST_BRIGHTNESS


def test_of_pictures_that_are_not_kept_few_are_decoded(monkeypatch) -> None:
    """Each may take seconds; and those of a set that had no room are not passed over."""
    dark = np.zeros((400, 500), np.uint8)
    monkeypatch.setattr(OnDisk, "decoded", lambda _: dark)
    kept = [dataclasses.replace(picture(f"kept{i}.png", i), pixels=dark + 90) for i in range(9)]
    gone = OnDisk(Path("gone.png"), (400, 500), 0, "0")
    others = [dataclasses.replace(kept[0], name=f"{i}.png", pixels=gone) for i in range(9)]
    (said,) = cautions_of_pictures([*kept, *others], InputConfig())
    assert said.startswith("caution: 4 of 13 pictures that were looked at are nearly black (")
    assert "or lower FLAWLINE_MIN_BRIGHTNESS where that is their light" in said


class Untrained:
    """A run that learns nothing."""

    def __init__(self, *_: object, sets: list[Dataset], **__: object) -> None:
        self._val = sets[-1]

    def run(self, observer: Observer, *, of_several: bool) -> None:
        assert of_several, "else each would say it again"

    def detections(self) -> list[Detections]:
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        return [Detections(*none)] * len(self._val.samples)


def test_crossval_says_once_what_holds_for_each_of_its_folds(
    config_file, tmp_path: Path, monkeypatch
) -> None:
    config = load_config(config_file())
    annotations = tmp_path / "run-data" / "annotations.json"
    content = json.loads(annotations.read_text())
    for number, entry in enumerate(content["annotations"]):
        entry["category_id"] = int(number == 1)  # one fold cannot learn it, the others not measure
    content["categories"].append({"id": 2, "name": "none"})
    annotations.write_text(json.dumps(content))
    monkeypatch.setattr("mobilemamba.cautions.LEAST_BRIGHTNESS", 0.9)
    monkeypatch.setattr("mobilemamba.crossval.Trainer", Untrained)
    said: list[str] = []
    watcher = Observer(lambda *_: None, lambda _: None, said.append)
    cross_validate(config, 4, tmp_path / "folds", torch.device("cpu"), lambda _: watcher)
    dark, *untaught = said
    assert dark.startswith("caution: 8 of 8 pictures that were looked at")
    start = "caution: no training picture has a flaw of the class "
    assert sorted(s.removeprefix(start).split(",")[0] for s in untaught) == [
        "bright or none",
        "none",
    ]


def test_ablate_says_once_what_holds_for_each_of_its_runs(
    config_file, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("mobilemamba.ablation.Trainer", Untrained)
    said: list[str] = []
    watcher = Observer(lambda *_: None, lambda _: None, said.append)
    names = ("no contrast", "both contrasts")
    given = (load_config(config_file()), Protocol((1, 2)), names, tmp_path / "a")
    ablate(*given, torch.device("cpu"), lambda *_: watcher)
    (once,) = said
    assert "8 of 8 validation pictures are trained on as well" in once
