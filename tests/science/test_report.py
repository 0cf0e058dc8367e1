from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError
from mobilemamba.comparison import curves
from mobilemamba.confusion import find_mistakes
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.evaluate import Detections, measure
from mobilemamba.figures import confusion_figure, precision_figure, score_figure
from mobilemamba.measured import ArtifactReport
from mobilemamba.operating_point import ClassMatches, OperatingPoint
from mobilemamba.report import Contents, sheet, write_report

PIT, SCRATCH = 0, 1
LEFT, RIGHT, LOW = [10.0, 10, 40, 40], [60.0, 10, 90, 40], [20.0, 60, 80, 90]


class Manifest:
    """As much of an artifact's manifest as a report reads."""

    model_name, model_version = "toy <1>", "0.0.1"
    labels = LabelSet(("pit", "scratch"))
    score_thresholds = (0.5, 0.5)


def sample(name: str, *boxes: tuple[int, list[float]]) -> Sample:
    grey = np.full((100, 100), 90, np.uint8)
    xyxy = np.array([b for _, b in boxes], np.float32).reshape(-1, 4)
    return Sample(name, 1, grey, xyxy, np.array([c for c, _ in boxes], np.int64))


def found(*entries: tuple[int, float, list[float]]) -> Detections:
    return Detections(
        np.array([b for _, _, b in entries], np.float32).reshape(-1, 4),
        np.array([s for _, s, _ in entries], np.float32),
        np.array([c for c, _, _ in entries], np.int64),
    )


def example() -> tuple[Dataset, list[Detections]]:
    samples = (
        sample("1", (PIT, LEFT), (SCRATCH, RIGHT)),
        sample("2", (PIT, LEFT), (PIT, RIGHT)),
        sample("3"),
    )
    detections = [
        found((PIT, 0.9, LEFT), (PIT, 0.8, RIGHT)),  # a hit, and a scratch taken for a pit
        found(
            (PIT, 0.7, LOW), (PIT, 0.4, LEFT)
        ),  # a false alarm, one miss below threshold, one unseen
        found((SCRATCH, 0.95, LOW)),
    ]
    return Dataset(Manifest.labels, samples, "0" * 64), detections


def test_what_was_taken_for_what() -> None:
    mistakes = find_mistakes(*example(), Manifest.score_thresholds)
    assert mistakes.table.tolist() == [[1, 0, 2], [1, 0, 0], [1, 1, 0]]
    assert [(m.sample.name, round(m.score, 2)) for m in mistakes.misses] == [("2", 0.0), ("2", 0.4)]
    assert mistakes.misses[0].box_xyxy.tolist() == RIGHT
    assert [(m.sample.name, m.class_id) for m in mistakes.false_alarms] == [("3", 1), ("2", 0)]


def test_the_page_and_its_pictures(tmp_path: Path) -> None:
    dataset, detections = example()
    report = ArtifactReport(measure(dataset, detections), detections)
    page = write_report(tmp_path / "page", Manifest, dataset, report, "val & more")
    text = page.read_text()
    assert "toy &lt;1&gt; 0.0.1" in text
    assert "val &amp; more" in text
    assert "Worst misses (2 in all)" in text
    assert "paired by where they are (IoU 0.5), best scores first, whatever their classes" in text
    pictures = {p.name for p in page.parent.glob("*.png")}
    assert len(pictures) == 6
    assert all(f'src="{name}"' in text for name in pictures)
    for name in pictures:
        with Image.open(page.parent / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 1, f"{name} is blank"


def test_a_set_without_boxes_has_a_page_too(tmp_path: Path) -> None:
    """A warning, which matplotlib gives for a legend of nothing, fails this test."""
    dataset = Dataset(Manifest.labels, (sample("1"), sample("2")), "0" * 64)
    detections = [found((PIT, 0.9, LEFT)), found()]
    report = ArtifactReport(measure(dataset, detections), detections)
    text = write_report(tmp_path / "page", Manifest, dataset, report, "clean").read_text()
    assert "Worst false alarms (1 in all)" in text
    assert "mAP50 <b>–</b>, mAP50-95 –" in text
    assert "<td>pit</td><td>0</td><td>–</td><td>0.500</td><td>0.000</td><td>–</td>" in text
    assert "nan" not in text


def test_a_picture_of_any_name_keeps_to_its_tile(tmp_path: Path) -> None:
    names = ("Teil ß <1> \u94a2.png", "a\udcfcb.png", "camera_2_of_line_3" * 4)
    samples = tuple(sample(name, (PIT, LEFT)) for name in names)
    dataset = Dataset(Manifest.labels, samples, "0" * 64)
    report = ArtifactReport(measure(dataset, [found()] * 3), [found()] * 3)
    text = write_report(tmp_path, Manifest, dataset, report, "val").read_text("utf-8")
    for name in ("Teil ß &lt;1&gt; \u94a2.png", "a\ufffdb.png", names[2]):
        assert f"<li>pit 0.00: {name}</li>" in text
    drawn = np.asarray(
        sheet(
            find_mistakes(dataset, [found()] * 3, (0.5, 0.5)).misses, ("pit" * 21, "x"), "#ff0000"
        )
    )
    assert (drawn[:, 236:240] == 255).all(), "nothing runs into the next tile"


def test_a_sheet_without_mistakes_is_an_empty_page() -> None:
    assert np.asarray(sheet((), ("pit",), "#ff0000")).min() == 255


def test_a_page_to_be_published_holds_tables_and_no_picture_of_the_data_set(tmp_path: Path) -> None:
    dataset, detections = example()
    report = ArtifactReport(measure(dataset, detections), detections)
    metrics = {"map50": 0.61, "map50_95": 0.3, "ap50": {}}
    metrics |= {"map50_small": None, "map50_medium": 0.5, "map50_large": 0.7}
    ablation = {
        "validation": "made up val", "input_px": [128, 64], "epochs": 2, "seeds": [1, 2],
        "contrast_weight": 0.25,
        "runs": [{"variant": "no contrast", "seed": s, "metrics": metrics} for s in (1, 2)],
    }  # fmt: skip
    peer = {
        "peer": "other", "trainer": "its own", "checkpoint": "best of all", "metrics": metrics,
        "settings": {"seed": 7, "epochs": 3},
    }  # fmt: skip
    curve = tmp_path / "run-a" / "metrics.jsonl"
    curve.parent.mkdir()
    lines = [{"epoch": 1, "metrics": None}, {"epoch": 2, "metrics": metrics}]
    curve.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name, content in (("ablation", ablation), ("peer", peer)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    contents = Contents(False, tmp_path / "ablation.json", (tmp_path / "peer.json",), (curve,))
    page = write_report(tmp_path / "page", Manifest, dataset, report, "val", contents)
    text = page.read_text()
    names = {p.name for p in page.parent.glob("*.png")}
    assert names == {
        "precision.png", "precision-recall.png", "confusion.png", "scores.png", "curves.png"
    }  # fmt: skip
    assert "Worst" not in text
    assert "<td>no contrast</td><td>2</td><td>0.610 ± 0.000</td>" in text
    assert "<td>other, seed 7, 3 epochs</td><td>0.610</td>" in text
    assert "made up val, 128x64 px, 2 epochs, seeds 1, 2" in text

    for wrong in ({}, peer | {"metrics": dict.fromkeys(metrics, "0.61")}):
        (tmp_path / "peer.json").write_text(json.dumps(wrong))
        with pytest.raises(DatasetError, match="is not what the peers' benchmark writes"):
            write_report(tmp_path / "page", Manifest, dataset, report, "val", contents)
    (tmp_path / "ablation.json").write_text("[]")
    with pytest.raises(DatasetError, match="is not a JSON object"):
        write_report(
            tmp_path / "p",
            Manifest,
            dataset,
            report,
            "v",
            Contents(ablation=tmp_path / "ablation.json"),
        )
    curve.write_text("no")
    with pytest.raises(DatasetError, match="holds no learning curve"):
        write_report(tmp_path / "p", Manifest, dataset, report, "v", Contents(curves=(curve,)))


def test_a_page_to_be_published_keeps_no_picture_of_an_earlier_one(tmp_path: Path) -> None:
    dataset, detections = example()
    report = ArtifactReport(measure(dataset, detections), detections)
    write_report(tmp_path, Manifest, dataset, report, "val")
    assert (tmp_path / "misses.png").exists()
    write_report(tmp_path, Manifest, dataset, report, "val", Contents(mistakes=False))
    assert not {"misses.png", "false-alarms.png"} & {p.name for p in tmp_path.iterdir()}


def test_curves_of_folders_with_the_same_name_stay_apart(tmp_path: Path) -> None:
    def curve(place: str, value: float) -> Path:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"epoch": 1, "metrics": {"map50": value}}))
        return path

    one, two = curve("one/fold-1/metrics.jsonl", 0.1), curve("two/fold-1/metrics.jsonl", 0.2)
    assert curves((one, two)) == {"one/fold-1": [(1, 0.1)], "two/fold-1": [(1, 0.2)]}
    assert curves((one, one)) == {"fold-1": [(1, 0.1)]}
    other = curve("one/fold-1/other.jsonl", 0.3)
    assert curves((one, other)) == {str(one): [(1, 0.1)], str(other): [(1, 0.3)]}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_long_class_names_stay_in_their_figure_and_leave_room(count: int) -> None:
    names = tuple(f"{i}-longitudinal-crack-beside-the-weld" for i in range(count))
    metrics = dataclasses.replace(measure(*example()), ap50=dict.fromkeys(names, 0.5))
    matches = (ClassMatches(np.full(9, 0.5, np.float32), np.ones(9, bool), 9),) * count
    points = (OperatingPoint(0.5, 1.0, 1.0),) * count
    confusion = confusion_figure(names, np.ones((count + 1, count + 1), np.int64))
    figures = (confusion, precision_figure(metrics), score_figure(names, matches, points))
    for figure in figures:
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox().extents
        assert (drawn >= 0).all()
        assert (drawn[2:] <= figure.get_size_inches()).all()
    assert confusion.axes[0].get_window_extent().width / (count + 1) > 0.35 * confusion.dpi
