from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from mobilemamba_command import run
from PIL import Image

from flawspec.artifact import read_manifest, verify
from mobilemamba.cli import main
from mobilemamba.dataset import load_dataset
from mobilemamba.evaluate import Metrics
from mobilemamba.export import ExportError, artifact_predictor, textured_pictures
from mobilemamba.quantise import (
    LEAST_FASTER,
    RECIPES,
    Trial,
    convolutions,
    folded_graph,
    try_recipes,
)
from mobilemamba.quantise import quantise as to_int8

ARTIFACTS = Path(__file__).parents[2] / "models" / "artifacts"
NEU = max(ARTIFACTS.glob("mobilemamba-nano-neu-*.onnx"))


@pytest.fixture(scope="module")
def folded() -> onnx.ModelProto:
    return folded_graph(NEU)


@pytest.fixture(scope="module")
def pictures_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn pictures under the classes of the artifact, each with one box."""
    folder = tmp_path_factory.mktemp("drawn")
    names = read_manifest(NEU).labels.names
    (folder / "images").mkdir()
    pictures = textured_pictures(4, 200, 200, seed=3)
    images, annotations = [], []
    for i, picture in enumerate(pictures, start=1):
        Image.fromarray(picture[0]).save(folder / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 200, "height": 200})
        annotations.append({"id": i, "image_id": i, "category_id": i, "bbox": [20, 20, 60, 60]})
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def trials(pictures_of: Path) -> list[Trial]:
    """All recipes, calibrated and measured for real; one round of timing, so that it ends soon."""
    manifest = read_manifest(NEU)
    data = load_dataset(
        pictures_of / "annotations.json", pictures_of / "images", labels=manifest.labels
    )
    return try_recipes(NEU, manifest, data, data, lambda _: None, rounds=1)


def test_norms_are_folded_and_each_recipe_takes_fewer(folded: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in folded.graph.node]
    assert {node.domain for node in folded.graph.node} <= {"", "ai.onnx"}
    found = list(convolutions(folded))
    assert len(found) == kinds.count("Conv") > 50
    taken = [sum(map(recipe.takes, found)) for recipe in RECIPES]
    assert taken[0] == len(found)
    assert taken[0] > taken[1] > taken[2] > 0
    assert next(c for c in found if c.in_channels == 1).group == 1  # the stem


def test_int8_is_standard_operators_and_answers_nearly_alike(
    folded: onnx.ModelProto, tmp_path: Path
) -> None:
    pictures = textured_pictures(6, 256, 256, seed=1)
    graph, count = to_int8(folded, pictures, RECIPES[2])
    onnx.checker.check_model(graph, full_check=True)
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("QuantizeLinear") >= count > 0
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    weights = {w.name: w for w in graph.graph.initializer}
    whole = [w for w in weights.values() if w.data_type == onnx.TensorProto.INT8 and w.dims]
    assert len([w for w in whole if len(w.dims) == 4]) == count
    _, before = artifact_predictor(NEU, threads=1)(pictures[:2])
    _, after = artifact_predictor(graph.SerializeToString(), threads=1)(pictures[:2])
    assert 0 < np.abs(before - after).max() < 0.35
    assert np.abs(before - after).mean() < 0.01
    onnx.save(graph, tmp_path / "int8.onnx")
    with pytest.raises(ExportError, match="is quantised already; give the float one"):
        folded_graph(tmp_path / "int8.onnx")


def test_it_pays_only_when_both_bounds_hold() -> None:
    metrics = Metrics(0.3, 0.6, 0.5, 0.5, 0.5, {})
    good = Trial("a", onnx.ModelProto(), 3, metrics, speed=1.3, lost=0.01)
    assert good.pays
    assert not dataclasses.replace(good, speed=1.29).pays
    assert not dataclasses.replace(good, lost=0.011).pays


def test_every_recipe_is_measured_against_the_float_artifact(trials: list[Trial]) -> None:
    assert [t.recipe for t in trials] == [r.name for r in RECIPES]
    assert [t.convolutions for t in trials] == sorted(
        (t.convolutions for t in trials), reverse=True
    )
    assert all(t.speed > 0 for t in trials)
    assert len({round(t.lost + t.metrics.map50, 9) for t in trials}) == 1  # one float figure


@pytest.mark.parametrize("speed", [1.5, 1.29])
def test_the_command_writes_the_fastest_that_pays_or_nothing(
    pictures_of: Path,
    trials: list[Trial],
    speed: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    speeds = (1.0, speed, 0.9)
    changed = [
        dataclasses.replace(t, speed=s, lost=0.0) for t, s in zip(trials, speeds, strict=True)
    ]
    monkeypatch.setattr("mobilemamba.commands.quantising.try_recipes", lambda *_: changed)
    annotations = str(pictures_of / "annotations.json")
    command = ["mobilemamba", "quantise", str(NEU), "--calibration", annotations]
    command += ["--coco", annotations, "--images", str(pictures_of / "images")]
    monkeypatch.setattr("sys.argv", [*command, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    written = list((tmp_path / "out").glob("*.onnx"))
    if speed < LEAST_FASTER:
        assert (end.value.code, written) == (1, [])
        assert "INT8 does not pay here" in said
        return
    assert end.value.code == 0
    assert f"{RECIPES[1].name}, sha256 {verify(written[0], None)}" in said
    made, old = read_manifest(written[0]), read_manifest(NEU)
    assert made.model_name == f"{old.model_name}-int8"
    assert made.score_thresholds == old.score_thresholds
    assert made.metrics_split == "annotations.json"
    card = written[0].with_suffix(".md").read_text()
    assert card.startswith(f"# {made.model_name} {made.model_version}\n")
    assert "## Figures of INT8 on annotations.json\n\nDense convolutions (" in card
    assert f"## Figures of `{NEU.name}` on" in card


def test_a_set_without_boxes_is_refused_before_anything_is_computed(
    pictures_of: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    content = json.loads((pictures_of / "annotations.json").read_text())
    clean = tmp_path / "clean.json"
    clean.write_text(json.dumps(content | {"annotations": []}))
    command = ["quantise", NEU, "--calibration", pictures_of / "annotations.json", "--coco", clean]
    assert run(monkeypatch, *command, "--images", pictures_of / "images", "--out", tmp_path) == 2
    assert "has no boxes, so that nothing can be measured on it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate"],
        ["report", "--out", "page"],
        ["calibrate", "--escape-rate", "0.9"],  # which so few pictures can support
        ["quantise", "--calibration", "{set}", "--out", "int8"],
    ],
)
def test_an_artifact_that_cannot_be_loaded_is_refused_in_a_sentence(
    command: list[str], pictures_of: Path, tmp_path: Path, monkeypatch, capfd
) -> None:
    graph = onnx.load(NEU)
    graph.ir_version = 99
    path = tmp_path / "later.onnx"
    path.write_bytes(graph.SerializeToString())
    data = str(pictures_of / "annotations.json")
    arguments = [part.format(set=data) for part in command]
    monkeypatch.chdir(tmp_path)
    sources = [path, "--coco", data, "--images", pictures_of / "images"]
    assert run(monkeypatch, *arguments, *sources) == 2
    error = capfd.readouterr().err
    assert f"cannot load {path}: [ONNXRuntimeError]" in error
    assert "Unsupported model IR version: 99" in error
    assert "Traceback" not in error


def test_a_graph_with_an_unknown_operator_is_refused() -> None:
    graph = onnx.load(NEU)
    graph.graph.node[0].op_type = "Nonsense"
    with pytest.raises(
        ExportError, match=r"the graph that was made: .*No Op registered for Nonsense"
    ):
        artifact_predictor(graph.SerializeToString())
