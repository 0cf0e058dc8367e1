"""Triton's own client talks to a server of ours; it runs in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pictures import clean, expected_score, numbered
from server_process import ServerProcess
from tiny_artifact import tiny_manifest, write_tiny_artifact
from triton_client import PYTHON, needs_triton_client

SCRIPT = Path(__file__).parents[1] / "support" / "triton_conversation.py"
NUMBERS = (5, 18, 31)

pytestmark = needs_triton_client


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("models")
    artifact = write_tiny_artifact(folder)
    other = tiny_manifest(model_name="other", model_version="2.0.0").to_json()
    other_folder = tmp_path_factory.mktemp("others")
    write_tiny_artifact(other_folder, "other-2.0.0.onnx", manifest_text=other)
    files = []
    for number in NUMBERS:
        files.append(folder / f"{number}.png")
        files[-1].write_bytes(numbered(number))
    files.append(folder / "clean.png")
    files[-1].write_bytes(clean())
    server = ServerProcess(artifact, models_dir=str(other_folder), model_control="on")
    try:
        addresses = (f"127.0.0.1:{server.rest_port}", server.grpc_target)
        done = subprocess.run(
            [PYTHON, SCRIPT, *addresses, "tiny", "1.2.3", "other", *files],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        server.terminate()
        assert server.exit_code() == 0, server.log
    assert "Traceback" not in server.log


@pytest.fixture(params=["http", "grpc"])
def half(request: pytest.FixtureRequest, told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return told[request.param]


def check_pictures(answer: dict[str, Any]) -> None:
    assert answer["id"] == "4711"
    outputs = answer["outputs"]
    assert outputs["verdict"]["data"] == ["NotOK"] * 3 + ["OK"]
    assert outputs["image_index"]["data"] == [0, 1, 2]
    assert outputs["image_index"]["datatype"] == "INT32"
    assert outputs["classes"]["data"] == ["scratch"] * 3
    assert outputs["scores"]["data"] == pytest.approx(
        [expected_score(number) for number in NUMBERS], abs=2e-4
    )
    assert outputs["boxes"]["shape"] == [3, 4]


def test_health_and_metadata(half: dict[str, Any]) -> None:
    assert half["live"] is True
    assert half["ready"] == [True, True, True]
    assert half["server_metadata"]["name"] == "flawline"
    assert half["metadata"]["name"] == half["metadata_of_the_version"]["name"] == "tiny"
    assert [output["name"] for output in half["metadata"]["outputs"]] == [
        "boxes",
        "scores",
        "image_index",
        "classes",
        "verdict",
    ]
    config = half["config"].get("config", half["config"])
    assert config["input"][0]["data_type"] == "TYPE_STRING"


def test_pictures_as_the_client_sends_them_by_itself(half: dict[str, Any]) -> None:
    check_pictures(half["infer"])
    of_the_version = half["infer_of_the_version"]["outputs"]
    assert list(of_the_version) == ["boxes", "verdict"]
    assert of_the_version["boxes"] == half["infer"]["outputs"]["boxes"]


def test_pictures_as_json(told: dict[str, dict[str, Any]]) -> None:
    check_pictures(told["http"]["infer_json"])


def test_calls_that_run_at_the_same_time(half: dict[str, Any]) -> None:
    answers = half["infer_async"]
    assert [a["outputs"]["verdict"]["data"] for a in answers] == [["NotOK"]] * 3 + [["OK"]]
    for number, answer in zip(NUMBERS, answers[:3], strict=True):
        (score,) = answer["outputs"]["scores"]["data"]
        assert score == pytest.approx(expected_score(number), abs=2e-4)


def test_figures_are_real(told: dict[str, dict[str, Any]]) -> None:
    by_half = {
        name: half["statistics"]["model_stats"][0]["inference_stats"] for name, half in told.items()
    }
    first, second = int(by_half["http"]["success"]["count"]), by_half["grpc"]["success"]
    assert first == 4 * 4, "four pictures in each of four kinds of call"
    assert int(second["count"]) == first + 4 * 3
    for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert int(by_half["http"][part]["ns"]) > 0
    names = [row["name"] for row in told["http"]["all_statistics"]["model_stats"]]
    assert names == ["tiny", "tiny_raw"]


def test_load_and_unload(half: dict[str, Any]) -> None:
    assert (half["load"], half["unload"]) == (None, None)
    assert half["other_is_ready"] is True
    states = {row["name"]: row["state"] for row in half["index"]}
    assert states["tiny"] == states["other"] == states["other_raw"] == "READY"


@pytest.mark.parametrize(
    ("question", "http_status", "grpc_status", "says"),
    [
        ("unknown_model", "404", "StatusCode.NOT_FOUND", "no model 'nothing'"),
        ("unknown_version", "404", "StatusCode.NOT_FOUND", "no version '99'"),
        ("wrong_datatype", "400", "StatusCode.INVALID_ARGUMENT", "datatype BYTES"),
        ("unknown_output", "400", "StatusCode.INVALID_ARGUMENT", "no output 'nothing'"),
    ],
)
def test_errors_reach_the_client_in_its_own_shape(
    told: dict[str, dict[str, Any]], question: str, http_status: str, grpc_status: str, says: str
) -> None:
    for half, status in (("http", http_status), ("grpc", grpc_status)):
        answer = told[half][question]
        assert answer["status"] == status
        assert says in answer["error"]
