"""An api and workers as processes around a Redis: one service, seen from outside."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from pictures import expected_score, numbered, truncated
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis_process import RedisProcess, RedisStarter
from server_process import ServerProcess, WorkerProcess, run_flawline

from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

PATIENT = {"deadline_ms": 30_000}
PATIENT_S = 30.0


@pytest.fixture(scope="module")
def shared(redis: RedisProcess) -> dict[str, str]:
    return {"queue": redis.url, "queue_namespace": f"e2e-{uuid.uuid4().hex[:8]}"}


@pytest.fixture(scope="module")
def api(artifact: Path, shared: dict[str, str]) -> Iterator[ServerProcess]:
    api = ServerProcess(artifact, **shared)
    yield api
    api.terminate()
    assert api.exit_code() == 0, api.log
    assert "Traceback" not in api.log


@pytest.fixture(scope="module")
def worker(artifact: Path, shared: dict[str, str], api: ServerProcess) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(artifact, concurrency="2", **shared)
    worker.ready()
    yield worker
    worker.terminate()
    assert worker.exit_code() == 0, worker.log
    assert "Traceback" not in worker.log


def test_without_a_worker_the_api_is_ready_and_the_deadline_holds(api: ServerProcess) -> None:
    assert httpx.get(f"{api.url}/healthz/ready").json() == {"ready": True}
    (model,) = httpx.get(f"{api.url}/v1/models").json()["models"]
    assert model["workers"] == 0
    answer = httpx.post(f"{api.url}/v1/inspections?deadline_ms=200", content=numbered(0))
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline")


def test_health_asks_whichever_of_the_two_runs(
    api: ServerProcess, worker: WorkerProcess, artifact: Path, start_redis: RedisStarter
) -> None:
    nobody = {"port": "1", "metrics_port": "2"}
    assert run_flawline("health", **nobody | {"port": str(api.rest_port)}).returncode == 0
    assert run_flawline("health", **nobody | {"metrics_port": worker.metrics_port}).returncode == 0
    alone = run_flawline("health", **nobody)
    assert (alone.returncode, alone.stdout) == (
        1,
        "Neither a server on port 1 nor a worker on 2.\n",
    )
    server = start_redis()
    cut_off = WorkerProcess(artifact, queue=server.url, queue_timeout_s="0.2")
    cut_off.ready()
    server.kill()
    until(lambda: httpx.get(cut_off.ready_url).status_code == 503)
    says = run_flawline("health", **nobody | {"metrics_port": cut_off.metrics_port})
    assert (says.returncode, json.loads(says.stdout)) == (
        1,
        {"ready": False, "reason": "queue_unavailable"},
    )
    cut_off.terminate()
    assert cut_off.exit_code() == 0, cut_off.log


async def test_everyone_gets_the_answer_to_his_own_picture(
    api: ServerProcess, worker: WorkerProcess
) -> None:
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=60) as client,
        grpc.aio.insecure_channel(api.grpc_target) as channel,
    ):
        stub = pb_grpc.InspectionServiceStub(channel)

        async def by_rest(number: int) -> tuple[str, float]:
            query = {**PATIENT, "part_id": str(number)}
            response = await client.post("/v1/inspections", params=query, content=numbered(number))
            assert response.status_code == 200, response.text
            return response.json()["part_id"], response.json()["detections"][0]["score"]

        async def by_grpc(number: int) -> tuple[str, float]:
            request = pb.InspectRequest(picture=numbered(number), part_id=str(number), **PATIENT)
            inspection = (await stub.Inspect(request)).inspection
            return inspection.part_id, inspection.detections[0].score

        asks = [by_rest(n) if n % 2 else by_grpc(n) for n in range(100)]
        answers = await asyncio.gather(*asks)
        for number, (part_id, score) in enumerate(answers):
            assert part_id == str(number)
            assert score == pytest.approx(expected_score(number), abs=2e-4)


def test_a_damaged_picture_is_the_callers_fault_here_too(
    api: ServerProcess, worker: WorkerProcess
) -> None:
    answer = httpx.post(f"{api.url}/v1/inspections", content=truncated(), timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (422, "corrupt_picture")


def test_a_repeat_under_its_key_gets_the_same_answer(
    api: ServerProcess, worker: WorkerProcess
) -> None:
    url, headers = f"{api.url}/v1/inspections?deadline_ms=30000", {"idempotency-key": "part 7"}
    first, again = (
        httpx.post(url, content=numbered(7), headers=headers, timeout=40).json() for _ in range(2)
    )
    assert again == first
    other = httpx.post(url, content=numbered(8), headers=headers, timeout=40)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_any_api_tells_what_another_was_asked(
    api: ServerProcess, worker: WorkerProcess, artifact: Path, shared: dict[str, str]
) -> None:
    other = ServerProcess(artifact, **shared)
    query = {**PATIENT, "part_id": "4711"}
    headers = {"prefer": "respond-async"}
    files = [("frames", numbered(1)), ("frames", numbered(2))]
    accepted = httpx.post(f"{api.url}/v1/inspections", params=query, files=files, headers=headers)
    location = accepted.headers["location"]

    def answered() -> bool:
        return httpx.get(other.url + location, timeout=10).status_code != 202

    until(answered)
    answer = httpx.get(other.url + location, timeout=10)
    assert (answer.status_code, answer.json()["verdict"]) == (200, "NotOK")
    assert [frame["part_id"] for frame in answer.json()["frames"]] == ["4711", "4711"]
    assert answer.json() == httpx.get(api.url + location, timeout=10).json()
    other.terminate()
    assert other.exit_code() == 0
    assert httpx.get(f"{api.url}{location[:-1]}x", timeout=10).status_code == 404


def test_clients_of_triton_are_served_by_workers_too(
    api: ServerProcess, worker: WorkerProcess
) -> None:
    with httpx.Client(base_url=api.url, timeout=30) as client:
        bare = {"inference-header-content-length": "0"}
        answer = client.post("/v2/models/tiny/infer", content=numbered(7), headers=bare)
        assert answer.status_code == 200
        assert b"NotOK" in answer.content
        raw = client.get("/v2/models/tiny_raw")
        assert raw.status_code == 404
        assert "shares a queue" in raw.json()["error"]
        load = client.post("/v2/repository/models/tiny/load")
        assert load.status_code == 409
        assert "roll out workers" in load.json()["error"]
        index = client.post("/v2/repository/index").json()
        assert [(row["name"], row["state"]) for row in index] == [("tiny", "READY")]
        (figures,) = client.get("/v2/models/stats").json()["model_stats"]
        assert figures["inference_count"] >= 1


def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass within 10 s")


def samples(url: str) -> dict[str, float]:
    families = text_string_to_metric_families(httpx.get(url).text)
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_models_and_metrics_show_the_workers(api: ServerProcess, worker: WorkerProcess) -> None:
    def served() -> int:
        (model,) = httpx.get(f"{api.url}/v1/models").json()["models"]
        return model["workers"]

    until(lambda: served() == 1)
    httpx.post(f"{api.url}/v1/inspections?deadline_ms=30000", content=numbered(1), timeout=40)
    of_worker = samples(worker.metrics_url)
    assert of_worker["flawline_queue_events_total/leased"] > 0
    assert of_worker["flawline_queue_events_total/resolved"] > 0
    assert of_worker["flawline_batch_size_count"] > 0
    # The api looks at Redis every so often, so its figures follow what has happened.
    until(lambda: samples(f"{api.url}/metrics")["flawline_queue_depth/inline"] == 0)
    assert samples(f"{api.url}/metrics")["flawline_queue_reachable"] == 1


async def test_a_worker_told_to_stop_finishes_and_hands_back_the_rest(
    artifact: Path, redis: RedisProcess
) -> None:
    shared = {"queue": redis.url, "queue_namespace": f"e2e-{uuid.uuid4().hex[:8]}"}
    api = ServerProcess(artifact, **shared)
    slow = WorkerProcess(artifact, engine="slow=0.2", max_batch="2", **shared)
    slow.ready()
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        asking = [
            asyncio.create_task(
                client.post("/v1/inspections", params=PATIENT, content=numbered(number))
            )
            for number in range(20)
        ]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        slow.terminate()
        assert await asyncio.to_thread(slow.exit_code) == 0, slow.log
        assert not all(task.done() for task in asking)
        heir = WorkerProcess(artifact, **shared)
        answers = await asyncio.gather(*asking)
    for number, answer in enumerate(answers):
        assert answer.status_code == 200, answer.text
        found = answer.json()["detections"][0]["score"]
        assert found == pytest.approx(expected_score(number), abs=2e-4)
    for process in (heir, api):
        process.terminate()
        assert process.exit_code() == 0, process.log


def test_fallback_local_goes_on_without_redis_and_comes_back(
    artifact: Path, start_redis: RedisStarter
) -> None:
    server = start_redis()
    shared = {"queue": server.url, "queue_fallback": "local", "queue_timeout_s": "0.2"}
    api = ServerProcess(artifact, **shared)
    ready = f"{api.url}/healthz/ready"
    server.kill()
    answer = httpx.post(f"{api.url}/v1/inspections?deadline_ms=20000", content=numbered(3))
    assert answer.json()["detections"][0]["score"] == pytest.approx(expected_score(3), abs=2e-4)
    assert httpx.get(ready).json() == {"ready": True, "degraded": "queue_unavailable"}
    assert samples(f"{api.url}/metrics")["flawline_queue_fallback_active"] == 1
    server.start()
    until(lambda: httpx.get(ready).json() == {"ready": True})
    assert samples(f"{api.url}/metrics")["flawline_queue_fallback_active"] == 0
    worker = WorkerProcess(artifact, **shared)
    assert httpx.get(worker.ready_url).json() == {"ready": True}
    answer = httpx.post(f"{api.url}/v1/inspections?deadline_ms=20000", content=numbered(5))
    assert answer.status_code == 200
    assert samples(worker.metrics_url)["flawline_queue_events_total/resolved"] == 1
    for process in (worker, api):
        process.terminate()
        assert process.exit_code() == 0, process.log


def test_fallback_local_has_verdicts_under_keys_while_redis_hangs(
    artifact: Path, start_redis: RedisStarter
) -> None:
    """Keys are looked up there too, and each look would have cost half of the deadline."""
    server = start_redis()
    api = ServerProcess(
        artifact, queue=server.url, queue_fallback="local", queue_timeout_s="2", deadline_ms="4000"
    )
    server.freeze()
    key = {"Idempotency-Key": "SN-0041"}  # before anybody has noticed
    answer = httpx.post(
        f"{api.url}/v1/inspections", content=numbered(2), headers=key, timeout=PATIENT_S
    )
    assert answer.status_code == 200, answer.text
    until(lambda: "degraded" in httpx.get(f"{api.url}/healthz/ready").json())
    key = {"Idempotency-Key": "SN-0042"}
    answer = httpx.post(
        f"{api.url}/v1/inspections", content=numbered(3), headers=key, timeout=PATIENT_S
    )
    assert answer.status_code == 200, answer.text
    later = httpx.post(
        f"{api.url}/v1/inspections",
        content=numbered(4),
        headers={"Prefer": "respond-async"},
        timeout=PATIENT_S,
    )
    assert later.status_code == 202, later.text
    server.thaw()
    api.terminate()
    assert api.exit_code() == 0, api.log


def test_readiness_names_a_redis_without_memory(artifact: Path, start_redis: RedisStarter) -> None:
    server = start_redis()
    api = ServerProcess(artifact, queue=server.url)
    ready = f"{api.url}/healthz/ready"
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        answer = httpx.post(f"{api.url}/v1/inspections", content=numbered(3))
        assert (answer.status_code, answer.json()["reason"]) == (503, "queue_out_of_memory")
        answer = httpx.get(ready)
        assert (answer.status_code, answer.json()["reason"]) == (503, "queue_out_of_memory")
        client.config_set("maxmemory", "0")
        until(lambda: httpx.get(ready).json() == {"ready": True})
    api.terminate()
    assert api.exit_code() == 0, api.log
    assert "redis_out_of_memory" in api.log


def test_fallback_refuse_answers_503_and_comes_back(
    artifact: Path, start_redis: RedisStarter
) -> None:
    server = start_redis()
    api = ServerProcess(artifact, queue=server.url, queue_timeout_s="0.2")
    server.kill()
    answer = httpx.post(f"{api.url}/v1/inspections", content=numbered(3))
    assert answer.status_code == 503
    assert (answer.json()["reason"], answer.json()["verdict"]) == ("queue_unavailable", "Undefined")
    assert int(answer.headers["retry-after"]) > 0
    assert httpx.get(f"{api.url}/healthz/ready").status_code == 503
    api.terminate()
    assert api.exit_code() == 0, api.log
