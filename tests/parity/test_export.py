"""The exported file says what the network says, and what cannot be trusted is refused."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch

from flawspec.labels import LabelSet
from flawspec.manifest import ArtifactManifest, TrainingData
from mobilemamba.blocks import AxialScan, Mrffi
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.detector import nano
from mobilemamba.export import (
    ExportError,
    artifact_predictor,
    check_parity,
    require_answers,
    textured_pictures,
    to_onnx,
    with_manifest,
)
from mobilemamba.from_artifact import load_artifact
from mobilemamba.wrapper import ArtifactNetwork

HEIGHT, WIDTH = 64, 128
pytestmark = pytest.mark.timeout(
    300
)  # an export takes seconds, and a minute on a machine with much else to do


def manifest(**changes) -> ArtifactManifest:
    values = {
        "contract_version": 1,
        "model_name": "toy",
        "model_version": "0.0.1",
        "labels": LabelSet(("pit", "scratch", "dent")),
        "input_width_px": WIDTH,
        "input_height_px": HEIGHT,
        "input_channels": 1,
        "stride_multiple": 64,
        "pad_value": 114,
        "normalisation_mean": 0.5,
        "normalisation_std": 0.25,
        "box_encoding": "xyxy-input-px",
        "nms_iou_threshold": 0.6,
        "score_thresholds": (0.5, 0.5, 0.5),
        "training_data": (TrainingData("none", "none", 0, "0" * 64),),
        "metrics": {},
        "metrics_split": "none",
        "license_note": "none",
        "created_at": "2026-01-01T00:00:00Z",
        "train_config_sha256": "0" * 64,
    }
    return ArtifactManifest(**{**values, **changes})


@pytest.fixture(scope="module")
def network() -> ArtifactNetwork:
    """A network whose every branch speaks: norms with random scales and statistics, as after training."""
    torch.manual_seed(0)
    detector = nano(classes=3)
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for tower in detector.head.class_towers:
        torch.nn.init.normal_(tower[-1].weight, std=1.0)
        torch.nn.init.zeros_(tower[-1].bias)
    return ArtifactNetwork(detector, 0.5, 0.25).eval()


@pytest.fixture(scope="module")
def graph(network: ArtifactNetwork) -> onnx.ModelProto:
    return to_onnx(network, HEIGHT, WIDTH)


def test_numbers_agree_at_batch_1_3_and_8(network, graph) -> None:
    pictures = textured_pictures(8, HEIGHT, WIDTH, seed=1)
    assert check_parity(network, graph.SerializeToString(), pictures) < 1e-5
    boxes, scores = artifact_predictor(graph.SerializeToString())(pictures)
    assert boxes.shape == (8, 168, 4)
    assert scores.shape == (8, 168, 3)
    assert scores.std() > 0.01, "the comparison would be empty if all scores were alike"


def test_a_graph_of_other_weights_is_refused(graph) -> None:
    torch.manual_seed(9)
    other = ArtifactNetwork(nano(classes=3), 0.5, 0.25).eval()
    with pytest.raises(ExportError, match="ONNX Runtime and PyTorch differ by"):
        check_parity(other, graph.SerializeToString(), textured_pictures(8, HEIGHT, WIDTH, 1))


def test_values_that_are_not_finite_are_refused(network, graph) -> None:
    spoiled = copy.deepcopy(network)
    with torch.no_grad():
        spoiled.detector.head.class_towers[0][-1].bias.fill_(float("nan"))
    nan_graph = to_onnx(spoiled, HEIGHT, WIDTH).SerializeToString()
    pictures = textured_pictures(8, HEIGHT, WIDTH, 1)
    for both in ((spoiled, nan_graph), (network, nan_graph), (spoiled, graph.SerializeToString())):
        with pytest.raises(ExportError, match="not finite"):
            check_parity(*both, pictures)


def test_frames_in_black_and_white_get_an_answer() -> None:
    """Selectors that grow with contrast drive every scan to where its products would leave float32."""
    torch.manual_seed(3)
    steep = ArtifactNetwork(nano(classes=3), 0.5, 0.25).eval()
    with torch.no_grad():
        for module in steep.modules():
            if isinstance(module, AxialScan):
                module.project.weight *= 30
            if isinstance(module, Mrffi):
                module.mix[1][1].weight.fill_(30.0)
    served = artifact_predictor(to_onnx(steep, HEIGHT, WIDTH).SerializeToString())
    require_answers(served, HEIGHT, WIDTH)
    for module in steep.modules():
        if isinstance(module, Mrffi):
            module.mix[0] = torch.nn.ReLU()
    without_ceiling = artifact_predictor(to_onnx(steep, HEIGHT, WIDTH).SerializeToString())
    with pytest.raises(ExportError, match="not finite on frames in black and white"):
        require_answers(without_ceiling, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((8, 1, HEIGHT, WIDTH), np.uint8), textured_pictures(4, HEIGHT, WIDTH, 0)],
    ids=["blank", "too few"],
)
def test_pictures_that_prove_nothing_are_refused(network, graph, pictures) -> None:
    with pytest.raises(ExportError, match="parity needs 8 pictures that are not blank"):
        check_parity(network, graph.SerializeToString(), pictures)


def test_only_standard_operators_and_a_free_batch(graph) -> None:
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 18)]
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape[1:]] == [1, HEIGHT, WIDTH]
    kinds = {node.op_type for node in graph.graph.node}
    assert not kinds & {"Loop", "Scan", "If"}, "no sequential scan is left"


def test_nothing_of_the_machine_that_exported_stays(graph) -> None:
    assert b"site-packages" not in graph.SerializeToString()
    assert b".py" not in graph.SerializeToString()


def test_the_manifest_travels_inside_and_bytes_are_repeatable(graph, tmp_path) -> None:
    from flawspec.artifact import read_manifest

    path = tmp_path / "toy.onnx"
    path.write_bytes(with_manifest(graph, manifest()))
    assert read_manifest(path) == manifest()
    assert path.read_bytes() == with_manifest(graph, manifest())


def test_what_the_exporter_folded_is_found_again(network, graph, tmp_path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_bytes(with_manifest(graph, manifest()))
    read = nano(classes=3)
    load_artifact(path, manifest(), read)  # which compares what both compute
    ours, theirs = network.detector.state_dict(), read.state_dict()
    constants = [n for n in ours if n.endswith(("decay_log", "step_bias", "factor"))]
    assert len(constants) == 25
    assert all(torch.allclose(ours[n], theirs[n], atol=1e-6) for n in constants)
    with pytest.raises(CheckpointError, match="or was exported by another release"):
        load_artifact(path, manifest(), nano(classes=2))


def test_an_operator_outside_the_standard_is_named(
    network, graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = onnx.ModelProto.FromString(graph.SerializeToString())
    spoiled.graph.node[0].domain = "com.example"
    program = type("Program", (), {"model_proto": spoiled})()
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    with pytest.raises(ExportError, match=r"com\.example::"):
        to_onnx(network, HEIGHT, WIDTH)
