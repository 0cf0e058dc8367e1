"""The real parts together, on free ports and with the tiny artifact."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError
from pictures import encoded, expected_score, numbered, quarters
from redis_process import free_port
from tiny_artifact import write_tiny_artifact

from flawline.adapters.onnx_engine import OnnxEngine
from flawline.adapters.redis_queue import QueueState
from flawline.application.inspector import InspectionRequest, Inspector, Readiness
from flawline.application.order import Order
from flawline.application.traces import NoTraces
from flawline.bootstrap import Running, StartupError, build_service, running, serve
from flawline.bootstrap.parts import Base
from flawline.bootstrap.starting import told_to_stop
from flawline.core.values import Verdict
from flawline.rpc.open_inference import grpc_service_pb2 as oip
from flawline.rpc.v1 import inspection_pb2, inspection_pb2_grpc
from flawline.settings import FlawlineSettings


def settings_of(folder: Path, **changes: Any) -> FlawlineSettings:
    options: dict[str, Any] = {"port": 0, "grpc_port": 0, "engine_threads": 1, "decode_threads": 2}
    if not (folder / "tiny.onnx").exists():
        write_tiny_artifact(folder)
    return FlawlineSettings(**(options | {"artifact": folder / "tiny.onnx"} | changes))


async def post(parts: Running, picture: bytes) -> tuple[int, dict[str, Any]]:
    """Over REST: the status and the answer."""
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(
            f"http://127.0.0.1:{parts.rest_port}/v1/inspections",
            content=picture,
            headers={"Content-Type": "image/png"},
        )
    return answer.status_code, answer.json()


async def test_a_refused_picture_stays_nowhere(tmp_path: Path) -> None:
    """Without Python's search for rings. The last two kinds have a call's message, and a body."""
    kinds = (InspectionRequest, Order, grpc.aio.AbortError, RequestValidationError)
    junk, keyed = b"no picture", [("idempotency-key", "k")]
    asked: list[Any] = [{"content": junk}, {"json": {"line": 1}}, {"files": [("frames", junk)] * 2}]
    asked += [{"content": junk, "headers": more} for more in (keyed, [("Prefer", "respond-async")])]
    rpc = inspection_pb2.InspectRequest(picture=junk).SerializeToString()
    infer = oip.ModelInferRequest(model_name="none").SerializeToString()
    async with (
        running(settings_of(tmp_path)) as parts,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.rest_port}") as rest,
        grpc.aio.insecure_channel(f"127.0.0.1:{parts.grpc_port}") as channel,
    ):
        inspect = channel.unary_unary("/flawline.v1.InspectionService/Inspect")
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        gc.collect()
        others = {id(one) for one in gc.get_objects() if type(one) in kinds}
        gc.disable()
        try:
            for _ in range(4):
                for request in asked:
                    answer = await rest.post("/v1/inspections", **request)
                    assert answer.status_code == 422
                for call in (inspect(rpc), inspect(rpc, metadata=keyed), ask(infer)):
                    with pytest.raises(grpc.aio.AioRpcError):
                        await call
            await asyncio.sleep(0)
            held = [one for one in gc.get_objects() if type(one) in kinds]
        finally:
            gc.enable()
    assert [type(one) for one in held if id(one) not in others] == []


async def test_rest_grpc_and_the_inspector_agree(tmp_path: Path) -> None:
    picture = quarters((0, 230, 0, 90))
    async with running(settings_of(tmp_path)) as parts:
        own = await parts.service.inspector.inspect(InspectionRequest(picture))
        status, rest = await post(parts, picture)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{parts.grpc_port}") as channel:
            stub = inspection_pb2_grpc.InspectionServiceStub(channel)
            rpc = (await stub.Inspect(inspection_pb2.InspectRequest(picture=picture))).inspection
    assert status == 200
    assert rest["verdict"] == own.verdict.value == "NotOK"
    scores = [detection.score for detection in own.detections]
    assert [found["score"] for found in rest["detections"]] == scores
    assert [found.score for found in rpc.detections] == pytest.approx(scores)
    assert rest["frame"]["sha256"] == rpc.frame.sha256 == own.frame.sha256


async def test_a_large_frame_is_cut_where_it_is_told(tmp_path: Path) -> None:
    # A flaw on one 64 px part of a frame of 10: too faint in the frame as a whole, shrunk to 64 px.
    grey = np.zeros((64, 640), dtype=np.uint8)
    grey[32:, 544:576] = 250
    picture = encoded(grey)
    drawn: dict[str, Any] = {"frame_checks": False}
    async with running(settings_of(tmp_path, **drawn)) as parts:
        _, whole = await post(parts, picture)
    tiled = settings_of(tmp_path, tile_px="64x64", tile_overlap=0.0, max_batch=4, **drawn)
    async with running(tiled) as parts:
        _, cut = await post(parts, picture)
    assert whole["verdict"] == "OK"
    assert cut["verdict"] == "NotOK"
    assert cut["frame"]["width"] == 640
    assert cut["recipe"]["version"] == f"{whole['recipe']['version']}+tiles-64x64-0"
    for found in cut["detections"]:
        assert found["box"]["y_min"] >= 32
        assert 530 < found["box"]["x_min"] < 580


async def test_distinct_pictures_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    service = build_service(settings_of(tmp_path, deadline_ms=30_000))
    await service.start()
    requests = (InspectionRequest(numbered(n), part_id=str(n)) for n in range(200))
    answers = await asyncio.gather(*map(service.inspector.inspect, requests))
    await service.stop()
    for number, inspection in enumerate(answers):
        assert inspection.part_id == str(number)
        found = inspection.detections[0].score
        assert found == pytest.approx(expected_score(number), abs=2e-4)


async def test_it_is_ready_when_it_listens_and_not_before(tmp_path: Path) -> None:
    service = build_service(settings_of(tmp_path))
    assert service.inspector.readiness() == Readiness(ready=False, reason="starting")
    await service.start()
    assert service.inspector.readiness() == Readiness(ready=True)
    await service.stop()
    assert service.inspector.readiness() == Readiness(ready=False, reason="draining")


async def test_readiness_waits_for_the_warm_up_while_liveness_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, warm, serves, ended = (asyncio.Event() for _ in range(4))
    port, start = free_port(), OnnxEngine.start

    async def warmed_up_later(engine: OnnxEngine) -> None:
        started.set()
        await warm.wait()
        await start(engine)

    monkeypatch.setattr(OnnxEngine, "start", warmed_up_later)

    async def run() -> None:
        async with running(settings_of(tmp_path, port=port)) as parts:
            assert parts.rest_port == port
            serves.set()
            await ended.wait()

    serving = asyncio.create_task(run())
    await started.wait()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        ready = await client.get("/healthz/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "starting")
        assert (await client.get("/healthz/live")).is_success
        refused = await client.post("/v1/inspections", content=numbered(1))
        assert (refused.status_code, refused.json()["reason"]) == (503, "starting")
        change = await client.put("/v1/models/tiny/1.2.3")
        assert (change.status_code, change.json()["reason"]) == (503, "starting")
        warm.set()
        await serves.wait()
        assert (await client.get("/healthz/ready")).is_success
    ended.set()
    await serving


async def test_stopping_what_did_not_start_is_harmless(tmp_path: Path) -> None:
    await build_service(settings_of(tmp_path)).stop()


class Gate:
    """Holds the engine's thread while it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = asyncio.Event()
        self._open = threading.Event()
        run = OnnxEngine.run

        async def held(engine: OnnxEngine, *work: Callable[..., Any]) -> object:
            self.entered.set()
            await asyncio.to_thread(self._open.wait, 30)
            return await run(engine, *work)

        monkeypatch.setattr(OnnxEngine, "run", held)

    def open(self) -> None:
        self._open.set()


async def test_what_was_accepted_is_finished_when_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    drain = Inspector.drain

    async def drain_while_the_gate_opens(inspector: Inspector, limit_s: float) -> bool:
        drained = asyncio.create_task(drain(inspector, limit_s))
        assert not asking.done()
        gate.open()
        return await drained

    monkeypatch.setattr(Inspector, "drain", drain_while_the_gate_opens)
    async with running(settings_of(tmp_path, deadline_ms=20_000)) as parts:
        asking = asyncio.create_task(post(parts, numbered(7)))
        await gate.entered.wait()
    status, answer = await asking
    assert (status, answer["verdict"]) == (200, "NotOK")


async def test_stopping_does_not_wait_for_ever_and_callers_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with running(settings_of(tmp_path, deadline_ms=60_000, drain_timeout_s=0.1)) as parts:
        asking = asyncio.create_task(post(parts, numbered(7)))
        await gate.entered.wait()
    gate.open()
    status, answer = await asking
    assert (status, answer["verdict"]) == (504, "Undefined")


async def test_the_deadline_holds_on_real_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    service = build_service(settings_of(tmp_path))
    await service.start()
    request = InspectionRequest(numbered(7), deadline_ms=50)
    inspection = await service.inspector.inspect(request)
    gate.open()
    await service.stop()
    assert inspection.verdict is Verdict.UNDEFINED
    assert inspection.reasons[0].code == "deadline"
    assert inspection.processing_times.total_ms < 2050


def test_a_queue_that_is_away_shows_no_figures_of_before(tmp_path: Path) -> None:
    base = Base.of(settings_of(tmp_path, queue=f"redis://127.0.0.1:{free_port()}"), NoTraces())
    queue = base.shared_queue()
    queue.state = QueueState.of([(200, 3000), (0, 0), (0, 0)], leased=8, dead_letters=2)
    value, inline = base.registry.get_sample_value, {"priority": "inline"}
    for name, of in (("depth", inline), ("oldest_age_seconds", inline), ("leased", {})):
        assert math.isnan(value(f"flawline_queue_{name}", of) or 0.0), name
    assert value("flawline_queue_dead_letters") == 2  # still there, when it is back
    base.pools.close()


@pytest.mark.parametrize("taken", ["port", "grpc_port"])
async def test_a_taken_port_is_said_with_its_setting(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match=rf"FLAWLINE_{taken.upper()}\) {port} .* is taken"):
            async with running(settings_of(tmp_path, **{taken: port})):
                pass


async def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be listened on"):
        async with running(settings_of(tmp_path, host="203.0.113.7", insecure=True)):
            pass


async def test_what_is_wrong_with_an_artifact_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"gone\.onnx"):
        build_service(settings_of(tmp_path, artifact=tmp_path / "gone.onnx"))
    with pytest.raises(StartupError, match="sha256"):
        build_service(settings_of(tmp_path, artifact_sha256="0" * 64))


async def test_traces_without_opentelemetry_are_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flawline.adapters.opentelemetry_traces", None)
    with pytest.raises(StartupError, match=r"FLAWLINE_TRACES.*pip install 'flawline\[otel\]'"):
        build_service(settings_of(tmp_path, traces="http://127.0.0.1:4317"))


async def test_a_graph_that_breaks_its_manifest_stops_the_start(tmp_path: Path) -> None:
    write_tiny_artifact(tmp_path, classes=3)
    with pytest.raises(StartupError, match="does not keep its manifest"):
        async with running(settings_of(tmp_path)):
            pass


class Told:
    """A logger that says when a line was written."""

    def __init__(self, awaited: str) -> None:
        self.heard = asyncio.Event()
        self.events: list[str] = []
        self._awaited = awaited

    def info(self, event: str, *_: object) -> None:
        self.events.append(event)
        if event.startswith(self._awaited):
            self.heard.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_serving_with_zero(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told("ready ")
    monkeypatch.setattr("flawline.bootstrap.serving.logger", told)
    serving = asyncio.create_task(serve(settings_of(tmp_path)))
    await told.heard.wait()
    os.kill(os.getpid(), number)
    assert await serving == 0
    assert told.events[-1] == "stopped"


async def test_a_process_is_told_to_stop_where_the_loop_hears_of_no_signals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows."""

    def hear_nothing(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", hear_nothing)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        async with told_to_stop() as told:
            signal.raise_signal(number)
            await asyncio.wait_for(told.wait(), 30)
    assert [signal.getsignal(number) for number in numbers] == before
