"""One inspection is one trace, from REST or gRPC through either queue to the stages of a worker."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from collector import Collector, ReceivedSpan, collecting
from pictures import numbered
from redis_process import RedisProcess
from server_process import ServerProcess, WorkerProcess

from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

# Redis counts milliseconds, and the time of day may be set while a test runs.
CLOCKS_DIFFER_NS = 20_000_000
# A picture waits twice: for a worker, and decoded for the engine.
STAGES = ["queue", "decode", "preprocess", "queue", "inference", "postprocess"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module", params=["memory", "redis"])
def api(
    request: pytest.FixtureRequest, artifact: Path, redis: RedisProcess, collector: Collector
) -> Iterator[ServerProcess]:
    """Traced; with its own worker, or with a worker process behind a Redis."""
    shared = {"traces": collector.endpoint}
    if request.param == "redis":
        shared |= {"queue": redis.url, "queue_namespace": f"traces-{uuid.uuid4().hex[:8]}"}
    processes = [ServerProcess(artifact, **shared)]
    if request.param == "redis":
        worker = WorkerProcess(artifact, **shared)
        worker.ready()
        processes.append(worker)
    yield processes[0]
    for process in processes:
        process.terminate()
        assert process.exit_code() == 0, process.log
        assert "Traceback" not in process.log


def ask_by_rest(api: ServerProcess, traceparent: str) -> str:
    answer = httpx.post(
        f"{api.url}/v1/inspections?deadline_ms=30000",
        content=numbered(7),
        headers={"traceparent": traceparent},
        timeout=40,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["inspection_id"]


def ask_by_grpc(api: ServerProcess, traceparent: str) -> str:
    with grpc.insecure_channel(api.grpc_target) as channel:
        answer = pb_grpc.InspectionServiceStub(channel).Inspect(
            pb.InspectRequest(picture=numbered(8), deadline_ms=30_000),
            metadata=[("traceparent", traceparent)],
        )
    return answer.inspection.inspection_id


@pytest.mark.parametrize("ask", [ask_by_rest, ask_by_grpc])
def test_a_callers_trace_goes_on_to_the_last_stage(
    api: ServerProcess, collector: Collector, ask: object, request: pytest.FixtureRequest
) -> None:
    trace_id, caller_id = secrets.token_hex(16), secrets.token_hex(8)
    inspection_id = ask(api, f"00-{trace_id}-{caller_id}-01")

    def of_this(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in spans if span.trace_id == trace_id]

    spans = of_this(collector.until(lambda spans: len(of_this(spans)) > len(STAGES)))
    (inspection,) = (span for span in spans if span.name == "inspection")
    stages = [span for span in spans if span is not inspection]
    assert inspection.service == "flawline-api"
    assert inspection.parent_id == caller_id
    assert inspection.attributes["flawline.inspection_id"] == inspection_id
    assert inspection.attributes["flawline.verdict"] == "NotOK"
    assert [stage.name for stage in stages] == STAGES
    shared = "redis" in request.node.name
    assert {stage.service for stage in stages} == {"flawline-worker" if shared else "flawline-api"}
    assert {stage.parent_id for stage in stages} == {inspection.span_id}
    for earlier, later in itertools.pairwise(stages):
        assert earlier.began_ns <= earlier.ended_ns <= later.began_ns + CLOCKS_DIFFER_NS
    assert stages[-1].ended_ns <= inspection.ended_ns + CLOCKS_DIFFER_NS


def test_who_sends_no_trace_gets_one_of_his_own(api: ServerProcess, collector: Collector) -> None:
    answer = httpx.post(
        f"{api.url}/v1/inspections?deadline_ms=30000", content=numbered(9), timeout=40
    )

    def is_its(span: ReceivedSpan) -> bool:
        return span.attributes.get("flawline.inspection_id") == answer.json()["inspection_id"]

    spans = collector.until(lambda spans: any(map(is_its, spans)))
    (inspection,) = filter(is_its, spans)
    assert inspection.parent_id == ""
    collector.until(
        lambda spans: sum(span.trace_id == inspection.trace_id for span in spans) == 1 + len(STAGES)
    )


def test_a_caller_who_wants_no_trace_gets_none(api: ServerProcess, collector: Collector) -> None:
    unwanted = secrets.token_hex(16)
    ask_by_rest(api, f"00-{unwanted}-{secrets.token_hex(8)}-00")
    # Whatever was sent for it would have come before this one's spans.
    wanted = secrets.token_hex(16)
    ask_by_rest(api, f"00-{wanted}-{secrets.token_hex(8)}-01")
    spans = collector.until(
        lambda spans: sum(span.trace_id == wanted for span in spans) == 1 + len(STAGES)
    )
    assert not any(span.trace_id == unwanted for span in spans)


def test_a_collector_that_is_away_troubles_nobody(artifact: Path) -> None:
    api = ServerProcess(artifact, traces="http://127.0.0.1:9")
    ask_by_rest(api, f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    api.terminate()
    assert api.exit_code() == 0, api.log
    assert "Traceback" not in api.log
