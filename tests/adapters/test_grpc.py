from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from scripted_inspector import MODEL, NOT_OK, OK, TOO_LATE, ScriptedInspector

from flawline.adapters.grpc_api import GrpcServer
from flawline.adapters.grpc_api.convert import VERDICT_TO_WIRE
from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.system_clock import SystemClock
from flawline.application.inspector import InspectionRequest, Readiness
from flawline.core.errors import BadPicture, InvalidRequest, NotReady, QueueFull, UnknownRecipe
from flawline.core.lock import Lock
from flawline.core.values import Inspection, Verdict
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICE = "flawline.v1.InspectionService"
MAX_MESSAGE_BYTES = 6 * 1024 * 1024


@pytest.fixture
async def server(inspector: ScriptedInspector) -> AsyncIterator[GrpcServer]:
    server = GrpcServer(
        inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=MAX_MESSAGE_BYTES,
        default_deadline_ms=1000,
        lock=Lock(None),
    )
    await server.start("127.0.0.1", 0)
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server: GrpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
async def stub(channel: grpc.aio.Channel) -> pb_grpc.InspectionServiceStub:
    return pb_grpc.InspectionServiceStub(channel)


@pytest.fixture
async def health(channel: grpc.aio.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


async def failure_of(call: grpc.aio.UnaryUnaryCall) -> tuple[grpc.aio.AioRpcError, dict]:
    """The error a call ends with, and its details by type."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert (status.code, status.message) == (caught.value.code().value[0], caught.value.details())
    details = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.type_url.rsplit(".", 1)[1])()
        assert packed.Unpack(detail)
        details[type(detail).__name__] = detail
    return caught.value, details


async def test_answer_carries_every_field(stub: pb_grpc.InspectionServiceStub) -> None:
    answer = (await stub.Inspect(pb.InspectRequest(picture=b"jpeg"))).inspection
    assert answer.inspection_id == NOT_OK.inspection_id
    assert answer.verdict == pb.VERDICT_NOT_OK
    assert [(r.code, r.detail) for r in answer.reasons] == [
        ("defect", "scratches with score 0.875.")
    ]
    first, second = answer.detections
    assert (first.label, first.score, second.label) == ("scratches", 0.875, "patches")
    box = first.box
    assert (box.x_min, box.y_min, box.x_max, box.y_max) == (1.5, 2.0, 30.25, 40.0)
    frame = answer.frame
    assert (frame.width, frame.height, frame.sha256) == (200, 100, "cd" * 32)
    assert (answer.line, answer.part_id) == ("press-2", "SN-1")
    assert (answer.recipe.name, answer.recipe.version) == ("default", "1")
    assert (answer.model.name, answer.model.version, answer.model.sha256) == (
        *("tiny", "1.2.3"),
        "ab" * 32,
    )
    assert answer.created_at.ToJsonString() == "2026-01-31T08:15:30.123456Z"
    times = answer.processing_times_ms
    assert (times.queue, times.decode, times.preprocess) == (1.0, 2.0, 3.0)
    assert (times.inference, times.postprocess, times.total) == (4.0, 5.0, 15.00049)


async def test_every_verdict_has_its_own_number() -> None:
    assert set(VERDICT_TO_WIRE) == set(Verdict)
    assert len({*VERDICT_TO_WIRE.values(), pb.VERDICT_UNSPECIFIED}) == len(Verdict) + 1


async def test_fields_reach_the_inspector_and_left_out_ones_are_none(
    stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    inspector.outcome = OK
    await stub.Inspect(
        pb.InspectRequest(
            picture=b"\x00\xff",
            line="press-2",
            part_id="SN-1",
            recipe="default",
            min_score=0.0,
            deadline_ms=70,
            priority=pb.PRIORITY_BACKFILL,
        ),
        metadata=(("traceparent", "00-ab-cd-01"), ("idempotency-key", "k")),
    )
    answer = await stub.Inspect(pb.InspectRequest())
    assert inspector.requests == [
        InspectionRequest(
            b"\x00\xff", "press-2", "SN-1", "default", 0.0, 70, "backfill", "00-ab-cd-01", "k"
        ),
        InspectionRequest(b""),
    ]
    assert not answer.inspection.HasField("part_id")


async def test_no_verdict_is_an_ok_call_that_says_undefined(
    stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    inspector.outcome = TOO_LATE
    answer = (await stub.Inspect(pb.InspectRequest(picture=b"jpeg"))).inspection
    assert answer.verdict == pb.VERDICT_UNDEFINED
    assert answer.reasons[0].code == "deadline"


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (QueueFull(1.25), grpc.StatusCode.RESOURCE_EXHAUSTED, "queue_full"),
        (NotReady("draining", 1.25), grpc.StatusCode.UNAVAILABLE, "draining"),
    ],
)
async def test_busy_and_not_ready_carry_undefined_and_when_to_return(
    stub: pb_grpc.InspectionServiceStub,
    inspector: ScriptedInspector,
    error: Exception,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    inspector.outcome = error
    failure, details = await failure_of(stub.Inspect(pb.InspectRequest(picture=b"jpeg")))
    assert failure.code() == code
    assert details["ErrorInfo"].domain == "flawline"
    assert dict(details["ErrorInfo"].metadata) == {"verdict": "Undefined", "reason": reason}
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 1250


@pytest.mark.parametrize(
    ("error", "code", "reason", "field"),
    [
        (
            BadPicture("corrupt_picture", "Cut short."),
            grpc.StatusCode.INVALID_ARGUMENT,
            "CORRUPT_PICTURE",
            "picture",
        ),
        (
            InvalidRequest("line", "line is odd."),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
            "line",
        ),
        (UnknownRecipe("x", ["default"]), grpc.StatusCode.NOT_FOUND, "UNKNOWN_RECIPE", None),
    ],
)
async def test_bad_requests_say_what_is_wrong_and_where(
    stub: pb_grpc.InspectionServiceStub,
    inspector: ScriptedInspector,
    error: Exception,
    code: grpc.StatusCode,
    reason: str,
    field: str | None,
) -> None:
    inspector.outcome = error
    failure, details = await failure_of(stub.Inspect(pb.InspectRequest(picture=b"jpeg")))
    assert (failure.code(), failure.details()) == (code, str(error))
    assert details["ErrorInfo"].reason == reason
    assert "verdict" not in details["ErrorInfo"].metadata
    violations = details["BadRequest"].field_violations if field else []
    assert [violation.field for violation in violations] == ([field] if field else [])


async def test_unexpected_errors_give_the_id_alone(
    stub: pb_grpc.InspectionServiceStub,
    inspector: ScriptedInspector,
    caplog: pytest.LogCaptureFixture,
) -> None:
    inspector.outcome = RuntimeError("password=hunter2")
    with caplog.at_level(logging.ERROR):
        failure, details = await failure_of(stub.Inspect(pb.InspectRequest(picture=b"jpeg")))
    assert failure.code() == grpc.StatusCode.INTERNAL
    assert "hunter2" not in failure.details()
    assert "hunter2" in caplog.text
    assert details["ErrorInfo"].metadata["error_id"] in caplog.text


@pytest.mark.parametrize(
    ("message_ms", "call_s", "least_ms", "most_ms"),
    [
        (None, None, None, None),  # the Inspector's default holds
        (300, None, 300, 300),
        (300, 10.0, 300, 300),
        (5000, 0.4, 200, 365),  # answered before the call is over for its client
        (None, 0.4, 200, 365),
        (None, 10.0, 1000, 1000),  # a patient client does not stretch the default
        (5000, 60.0, 5000, 5000),
        (0, 10.0, 0, 0),  # the Inspector refuses it
    ],
)
async def test_the_earlier_deadline_holds(
    stub: pb_grpc.InspectionServiceStub,
    inspector: ScriptedInspector,
    message_ms: int | None,
    call_s: float | None,
    least_ms: int | None,
    most_ms: int | None,
) -> None:
    await stub.Inspect(pb.InspectRequest(picture=b"x", deadline_ms=message_ms), timeout=call_s)
    (request,) = inspector.requests
    if least_ms is None:
        assert request.deadline_ms is None
    else:
        assert least_ms <= request.deadline_ms <= most_ms


async def test_cancelled_call_cancels_its_inspection(
    stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    cancelled = asyncio.Event()

    async def never(_: InspectionRequest) -> Inspection:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()
        return OK

    inspector.outcome = never
    call = stub.Inspect(pb.InspectRequest(picture=b"jpeg"))
    started = asyncio.ensure_future(call.code())
    await asyncio.wait_for(inspector.asked.wait(), 5)
    call.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    assert await started == grpc.StatusCode.CANCELLED


async def test_pictures_above_grpcs_own_4_mib_pass_up_to_the_limit(
    stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    await stub.Inspect(pb.InspectRequest(picture=bytes(5 * 1024 * 1024)))
    assert len(inspector.requests[0].picture) == 5 * 1024 * 1024
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Inspect(pb.InspectRequest(picture=bytes(MAX_MESSAGE_BYTES + 1)))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_beyond_the_limit_are_refused_and_the_others_answered(
    inspector: ScriptedInspector,
) -> None:
    released = asyncio.Event()

    async def slow(_: InspectionRequest) -> Inspection:
        await released.wait()
        return OK

    inspector.outcome = slow
    server = GrpcServer(
        inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=1000,
        default_deadline_ms=1000,
        lock=Lock(None),
        max_calls=2,
    )
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = pb_grpc.InspectionServiceStub(channel)
        accepted = [asyncio.ensure_future(_inspected(stub)) for _ in range(2)]
        while len(inspector.requests) < 2:
            await asyncio.wait_for(inspector.asked.wait(), 5)
            await asyncio.sleep(0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _inspected(stub)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        released.set()
        for call in accepted:
            assert (await call).inspection.verdict == pb.VERDICT_OK
    await server.stop(0)


async def test_health_follows_readiness_until_the_drain(
    server: GrpcServer, health: health_pb2_grpc.HealthStub, inspector: ScriptedInspector
) -> None:
    async def state(service: str = "") -> int:
        return (await health.Check(health_pb2.HealthCheckRequest(service=service))).status

    assert await state() == await state(SERVICE) == await state(MODEL.name) == SERVING
    inspector.ready = Readiness(ready=False, reason="engine_stuck")
    assert await state() == await state(SERVICE) == NOT_SERVING
    inspector.ready = Readiness(ready=True)
    assert await state() == SERVING
    server.announce_not_serving()
    assert await state() == await state(SERVICE) == NOT_SERVING
    listed = (await health.List(health_pb2.HealthListRequest())).statuses
    assert {name: answer.status for name, answer in listed.items()} == {
        "": NOT_SERVING,
        SERVICE: NOT_SERVING,
        MODEL.name: NOT_SERVING,
    }
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await state("no.such.Service")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_long_name_of_a_service_that_is_not_here_is_cut(
    health: health_pb2_grpc.HealthStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="n" * 20_000))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == f"There is no service named '{'n' * 64}' here."


async def test_watch_tells_changes_and_ends_with_the_server(
    server: GrpcServer, health: health_pb2_grpc.HealthStub, inspector: ScriptedInspector
) -> None:
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert (await watch.read()).status == SERVING
    inspector.ready = Readiness(ready=False, reason="engine_stuck")
    assert (await watch.read()).status == NOT_SERVING
    inspector.ready = Readiness(ready=True)
    assert (await watch.read()).status == SERVING
    server.announce_not_serving()
    assert (await watch.read()).status == NOT_SERVING
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert (await unknown.read()).status == SERVICE_UNKNOWN
    await asyncio.wait_for(server.stop(30), 5)  # no Watch holds it up
    assert await watch.code() == await unknown.code() == grpc.StatusCode.OK


async def test_stop_waits_for_running_calls(
    server: GrpcServer, stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    async def slow(_: InspectionRequest) -> Inspection:
        await asyncio.sleep(0.2)
        return OK

    inspector.outcome = slow
    call = asyncio.ensure_future(_inspected(stub))
    await asyncio.wait_for(inspector.asked.wait(), 5)
    await server.stop(5)
    assert (await call).inspection.verdict == pb.VERDICT_OK


async def _inspected(stub: pb_grpc.InspectionServiceStub) -> pb.InspectResponse:
    return await stub.Inspect(pb.InspectRequest(picture=b"jpeg"))


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest
    call = stub.ServerReflectionInfo(
        iter([ask(list_services=""), ask(file_containing_symbol=SERVICE)])
    )
    services, file = [answer async for answer in call]
    names = {service.name for service in services.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    assert file.file_descriptor_response.file_descriptor_proto


async def test_a_taken_port_is_an_os_error(
    server: GrpcServer, inspector: ScriptedInspector, capfd: pytest.CaptureFixture[str]
) -> None:
    second = GrpcServer(
        inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=1000,
        default_deadline_ms=1000,
        lock=Lock(None),
    )
    with pytest.raises(OSError, match="in use"):
        await second.start("127.0.0.1", server.port)
    assert capfd.readouterr().err == ""


async def test_serves_on_ipv6_too(inspector: ScriptedInspector) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    server = GrpcServer(
        inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=1000,
        default_deadline_ms=1000,
        lock=Lock(None),
    )
    port = await server.start("::1", 0)
    async with grpc.aio.insecure_channel(f"[::1]:{port}") as channel:
        answer = await _inspected(pb_grpc.InspectionServiceStub(channel))
    assert answer.inspection.verdict == pb.VERDICT_NOT_OK
    await server.stop(0)


TOKEN = "0123456789abcdef-token"


@pytest.fixture
async def locked_channel(inspector: ScriptedInspector) -> AsyncIterator[grpc.aio.Channel]:
    server = GrpcServer(
        inspector,
        MemoryFeed(10),
        SystemClock(),
        max_message_bytes=MAX_MESSAGE_BYTES,
        default_deadline_ms=1000,
        lock=Lock(TOKEN),
    )
    await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop(0)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer another-token-of-somebody"),),
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
    ],
)
async def test_a_call_without_the_token_is_unauthenticated(
    locked_channel: grpc.aio.Channel, inspector: ScriptedInspector, metadata: tuple
) -> None:
    stub = pb_grpc.InspectionServiceStub(locked_channel)
    error, details = await failure_of(stub.Inspect(pb.InspectRequest(), metadata=metadata))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "Authorization: Bearer TOKEN" in error.details()
    assert TOKEN not in error.details()
    assert details["ErrorInfo"].reason == "UNAUTHENTICATED"
    assert inspector.requests == []
    assert inspector.refusals == ["unauthenticated"]


async def test_with_the_token_the_caller_has_a_name_that_is_not_the_token(
    locked_channel: grpc.aio.Channel, inspector: ScriptedInspector
) -> None:
    stub = pb_grpc.InspectionServiceStub(locked_channel)
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    await stub.Inspect(pb.InspectRequest(picture=b"jpeg"), metadata=metadata)
    assert inspector.requests[0].caller == Lock(TOKEN).caller_of(f"Bearer {TOKEN}") != ""


async def test_a_stream_without_the_token_is_refused_before_its_first_message(
    locked_channel: grpc.aio.Channel,
) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(locked_channel)
    call = stub.ServerReflectionInfo(timeout=20)  # and never a message
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_needs_no_token(locked_channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(locked_channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    watch.cancel()


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("Inspect", b"\x12\x01\xff"),
        ("Inspect", b"\xff\xff\xff"),
        ("WatchInspections", b"\xff\xff\xff"),
        ("InspectStream", b"\xff\xff\xff"),
    ],
)
async def test_a_message_that_cannot_be_read_is_the_callers_fault(
    channel: grpc.aio.Channel,
    inspector: ScriptedInspector,
    caplog: pytest.LogCaptureFixture,
    method: str,
    data: bytes,
) -> None:
    path = f"/{SERVICE}/{method}"
    if method == "Inspect":
        error, details = await failure_of(channel.unary_unary(path)(data))
    elif method == "WatchInspections":
        error, details = await failure_of(anext(aiter(channel.unary_stream(path)(data))))
    else:
        call = channel.stream_stream(path)()
        await call.write(data)
        error, details = await failure_of(call.read())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details["ErrorInfo"].reason == "INVALID_REQUEST"
    assert inspector.requests == []
    assert caplog.records == []


async def test_two_idempotency_keys_are_refused(
    stub: pb_grpc.InspectionServiceStub, inspector: ScriptedInspector
) -> None:
    metadata = [("idempotency-key", "a"), ("idempotency-key", "b")]
    error, _ = await failure_of(stub.Inspect(pb.InspectRequest(picture=b"x"), metadata=metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert inspector.requests == []
