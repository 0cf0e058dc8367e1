"""Models changed under a server that is being asked: a process of its own, real engines, many clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from pictures import expected_score, numbered
from prometheus_client.parser import text_string_to_metric_families
from server_process import ServerProcess
from tiny_artifact import release_tiny_artifact, tiny_manifest, tiny_model

from flawspec.labels import LabelSet

STABLE = "/v1/aliases/stable"
CLIENTS = 16
PATIENT = {"deadline_ms": 30_000}
# What a scratch counts from; a pit never counts but in version 1.2.3.
THRESHOLDS = {"1.2.3": 0.5, "2.0.0": 0.8, "3.0.0": 0.3}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    release_tiny_artifact(folder, model_version="2.0.0", score_thresholds=(0.8, 1.0))
    release_tiny_artifact(
        folder,
        model_version="3.0.0",
        score_thresholds=(0.3, 1.0),
        labels=LabelSet(("dent", "rust")),
        input_width_px=128,
        input_height_px=128,
        created_at="2026-03-01T00:00:00Z",
    )
    whole = release_tiny_artifact(folder, model_version="cut").read_bytes()
    (folder / "tiny-cut.onnx").write_bytes(whole[:-500])
    release_tiny_artifact(folder, model_version="changed")
    with (folder / "tiny-changed.onnx").open("ab") as file:
        file.write(b"\0")
    text = tiny_manifest(model_version="future").to_json()
    text = text.replace('"contract_version": 1', '"contract_version": 2')
    model = tiny_model(manifest_text=text)
    (folder / "tiny-future.onnx").write_bytes(model.SerializeToString())
    text = tiny_manifest(model_version="other").to_json()
    model = tiny_model(manifest_text=text, classes=3)
    (folder / "tiny-other.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def server(artifact: Path, models_dir: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(
        artifact, models_dir=str(models_dir), engine_threads="1", decode_threads="1"
    )
    yield server
    server.terminate()
    assert server.exit_code() == 0, server.log
    assert "Traceback" not in server.log


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """The server begins and ends with version 1.2.3 stable, alone."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client
        back = await client.put(STABLE, json={"name": "tiny", "version": "1.2.3"})
        assert back.is_success
        for model in (await client.get("/v1/models")).json()["models"][1:]:
            gone = await client.delete(f"/v1/models/{model['name']}/{model['version']}")
            assert gone.status_code == 204


def check(number: int, answer: dict) -> str:
    """The answer is that of one model wholly, to this picture; returns which."""
    version, score = answer["model"]["version"], expected_score(number)
    assert answer["part_id"] == str(number)
    assert answer["recipe"]["version"] == version
    assert answer["verdict"] == ("NotOK" if score >= THRESHOLDS[version] else "OK")
    scratch = "dent" if version == "3.0.0" else "scratch"
    found = [d["score"] for d in answer["detections"] if d["class"] == scratch]
    # Version 3 sees the picture enlarged, and so its edges softened.
    expected = pytest.approx(score, abs=8e-3 if version == "3.0.0" else 2e-4)
    assert found == ([expected] if score >= THRESHOLDS[version] else [])
    if found:
        assert f"threshold {THRESHOLDS[version]:.2f}" in answer["reasons"][0]["detail"]
    return version


@pytest.mark.timeout(180)
async def test_the_model_switched_under_load_no_failed_request(
    client: httpx.AsyncClient,
) -> None:
    numbers, ended, seen = count(), asyncio.Event(), []

    async def keep_asking() -> None:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as own:
            while not ended.is_set():
                number = next(numbers) % 400
                response = await own.post(
                    "/v1/inspections",
                    params={**PATIENT, "part_id": str(number)},
                    content=numbered(number),
                )
                assert response.status_code == 200, response.text
                seen.append(check(number, response.json()))

    async def until_seen(version: str) -> None:
        since = len(seen)
        while version not in seen[since:]:
            assert not any(asking.done() for asking in clients)
            await asyncio.sleep(0.01)  # until one more answer is in

    async def change() -> None:
        await until_seen("1.2.3")
        stable = "1.2.3"
        for version in ("2.0.0", "3.0.0", "1.2.3", "3.0.0"):
            switched = await client.put(STABLE, json={"name": "tiny", "version": version})
            assert switched.status_code == 200, switched.text
            answer = switched.json()
            assert (answer["stable"]["version"], answer["previous"]["version"]) == (version, stable)
            assert (await client.get("/healthz/ready")).is_success
            await until_seen(version)
            stable = version
        former = {"from": {"name": "tiny", "version": stable}}
        back = await client.post(f"{STABLE}/rollback", json=former)
        assert back.json()["stable"]["version"] == "1.2.3"
        await until_seen("1.2.3")
        assert len((await client.get("/v1/models")).json()["models"]) == 2

    clients = [asyncio.create_task(keep_asking()) for _ in range(CLIENTS)]
    try:
        await change()
    finally:
        ended.set()
        await asyncio.gather(*clients)
    assert set(seen) == {"1.2.3", "2.0.0", "3.0.0"}


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("cut", "hash_mismatch"),
        ("changed", "hash_mismatch"),
        ("future", "unknown_contract"),
        ("other", "graph_mismatch"),
    ],
)
async def test_a_failed_load_keeps_the_old_model_and_says_why(
    client: httpx.AsyncClient, models_dir: Path, version: str, reason: str
) -> None:
    response = await client.put(STABLE, json={"name": "tiny", "version": version})
    problem = response.json()
    assert response.status_code == 422, problem
    assert (problem["code"], problem["reason"]) == ("unusable_artifact", reason)
    assert f"tiny-{version}.onnx" in problem["detail"] or reason == "unknown_contract"
    assert str(models_dir) not in problem["detail"]
    answer = await client.post(
        "/v1/inspections", params={**PATIENT, "part_id": "7"}, content=numbered(7)
    )
    assert check(7, answer.json()) == "1.2.3"
    assert len((await client.get("/v1/models")).json()["models"]) == 1


async def test_a_candidate_is_tried_on_pictures_before_it_becomes_stable(
    client: httpx.AsyncClient,
) -> None:
    loaded = await client.put("/v1/models/tiny/3.0.0")
    assert loaded.status_code == 201, loaded.text
    assert loaded.json()["input"] == {"width": 128, "height": 128}
    query = {**PATIENT, "part_id": "99", "model": "tiny", "model_version": "3.0.0"}
    answer = await client.post("/v1/inspections", params=query, content=numbered(99))
    assert check(99, answer.json()) == "3.0.0"
    listed = (await client.get("/v1/artifacts")).json()["artifacts"]
    loaded = {a["file"]: a["loaded"] for a in listed}
    assert [loaded[f"tiny{end}.onnx"] for end in ("", "-2.0.0", "-3.0.0")] == [True, False, True]
    assert {a["file"] for a in listed if a["fault"]} == {
        "tiny-changed.onnx",
        "tiny-cut.onnx",
        "tiny-future.onnx",
    }
    assert (await client.get(STABLE)).json()["stable"]["version"] == "1.2.3"


async def test_metrics_show_the_stable_model_alone_and_count_changes(
    client: httpx.AsyncClient,
) -> None:
    await client.put(STABLE, json={"name": "tiny", "version": "3.0.0"})
    await client.post("/v1/inspections", params=PATIENT, content=numbered(399))
    text = (await client.get("/metrics")).text
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    shown = [s.labels["version"] for s in samples if s.name == "flawline_model_info"]
    assert shown == ["3.0.0"]
    changes = {
        (s.labels["change"], s.labels["outcome"]): s.value
        for s in samples
        if s.name == "flawline_model_changes_total"
    }
    assert changes["switch", "done"] >= 1
    dents = sum(
        s.value
        for s in samples
        if s.name == "flawline_defects_total" and s.labels["class"] == "dent"
    )
    assert dents >= 1
