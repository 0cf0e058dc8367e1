from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from open_inference_bench import OpenInferenceBench
from scripted_inspector import NOT_OK, TOO_LATE, ScriptedInspector
from tiny_artifact import boxes_and_scores

from flawline.adapters.grpc_api import GrpcServer
from flawline.adapters.memory_feed import MemoryFeed
from flawline.application.inspector import InspectionRequest, Readiness
from flawline.core.errors import BadPicture, NotReady, QueueFull, UnknownRecipe
from flawline.core.lock import Lock
from flawline.core.model_errors import ModelControlOff, ModelIsStable
from flawline.core.values import Inspection
from flawline.rpc.open_inference import grpc_service_pb2 as pb
from flawline.rpc.open_inference import grpc_service_pb2_grpc as pb_grpc

Code = grpc.StatusCode
SERVICE = "inference.GRPCInferenceService"


@pytest.fixture
async def channel(bench: OpenInferenceBench) -> AsyncIterator[grpc.aio.Channel]:
    server = GrpcServer(
        bench.inspector,
        MemoryFeed(8),
        bench.clock,
        max_message_bytes=16 * 1024 * 1024,
        default_deadline_ms=1000,
        lock=Lock(None),
        others=[bench.servicer()],
    )
    await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
async def stub(channel: grpc.aio.Channel) -> pb_grpc.GRPCInferenceServiceStub:
    return pb_grpc.GRPCInferenceServiceStub(channel)


def request(*pictures: bytes, **fields: object) -> pb.ModelInferRequest:
    """Pictures in typed contents."""
    message = pb.ModelInferRequest(model_name="tiny", **fields)
    tensor = message.inputs.add(name="pictures", datatype="BYTES", shape=[len(pictures)])
    tensor.contents.bytes_contents.extend(pictures)
    return message


def raw_images(images: np.ndarray) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="tiny_raw", raw_input_contents=[images.tobytes()])
    message.inputs.add(name="images", datatype="UINT8", shape=images.shape)
    return message


async def failure(call: grpc.aio.UnaryUnaryCall, code: grpc.StatusCode) -> tuple[str, dict]:
    """The sentence a call ends with, and its details by type."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value
    trailing = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    details = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.type_url.rsplit(".", 1)[1])()
        assert packed.Unpack(detail)
        details[type(detail).__name__] = detail
    return caught.value.details(), details


async def test_server_health_and_models(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    assert (await stub.ServerLive(pb.ServerLiveRequest())).live
    assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
    assert "statistics" in (await stub.ServerMetadata(pb.ServerMetadataRequest())).extensions
    metadata = await stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny_raw", version="1.2.3"))
    assert (metadata.inputs[0].datatype, list(metadata.inputs[0].shape)) == (
        "UINT8",
        [-1, 1, 64, 64],
    )
    config = (await stub.ModelConfig(pb.ModelConfigRequest(name="tiny"))).config
    assert config.input[0].data_type == pb.TYPE_STRING
    assert config.output[0].data_type == pb.TYPE_FP32
    assert (await stub.ModelReady(pb.ModelReadyRequest(name="tiny"))).ready
    inspector.ready = Readiness(ready=False, reason="draining")
    assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready
    assert not (await stub.ModelReady(pb.ModelReadyRequest(name="tiny"))).ready


async def test_typed_contents_are_answered_with_typed_contents(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    message = request(b"\x00one", b"two", id="4711", model_version="1.2.3")
    message.parameters["line"].string_param = "press-2"
    message.parameters["timeout"].int64_param = 70_500
    message.parameters["priority"].uint64_param = 3
    message.parameters["min_score"].double_param = 0.25
    metadata = (("traceparent", "trace"), ("idempotency-key", "again"))
    answer = await stub.ModelInfer(message, metadata=metadata)
    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "1.2.3", "4711")
    assert not answer.raw_output_contents
    boxes, scores, index, classes, verdict = answer.outputs
    assert (list(boxes.shape), len(boxes.contents.fp32_contents)) == ([4, 4], 16)
    assert list(scores.contents.fp32_contents) == [0.875, 0.5] * 2
    assert list(index.contents.int_contents) == [0, 0, 1, 1]
    assert list(classes.contents.bytes_contents) == [b"scratches", b"patches"] * 2
    assert list(verdict.contents.bytes_contents) == [b"NotOK"] * 2
    assert [r.picture for r in inspector.requests] == [b"\x00one", b"two"]
    first = inspector.requests[0]
    assert (first.line, first.deadline_ms, first.priority) == ("press-2", 70, "backfill")
    assert (first.min_score, first.traceparent, first.caller) == (0.25, "trace", "somebody")
    assert len({r.idempotency_key for r in inspector.requests}) == 2
    assert first.model_version == "1.2.3"


async def test_raw_contents_are_answered_with_raw_contents(
    stub: pb_grpc.GRPCInferenceServiceStub,
) -> None:
    images = np.random.default_rng(4).integers(0, 256, (4, 1, 64, 64), dtype=np.uint8)
    message = raw_images(images)
    message.outputs.add(name="scores")
    answer = await stub.ModelInfer(message)
    (output,) = answer.outputs
    assert (output.name, list(output.shape)) == ("scores", [4, 4, 2])
    assert not output.HasField("contents")
    assert list(answer.raw_output_contents) == [boxes_and_scores(images).scores.tobytes()]


async def test_messages_well_above_the_librarys_own_limit_arrive(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    await stub.ModelInfer(request(bytes(7 * 1024 * 1024)))
    assert len(inspector.requests[0].picture) == 7 * 1024 * 1024


async def test_the_calls_deadline_counts_too(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    await stub.ModelInfer(request(b"1"), timeout=0.9)
    message = request(b"2")
    message.parameters["timeout"].int64_param = 100_000
    await stub.ModelInfer(message, timeout=50)
    await stub.ModelInfer(request(b"3"))
    first, second, third = (r.deadline_ms for r in inspector.requests)
    assert first is not None
    assert first <= 850
    assert (second, third) == (100, None)


async def test_cancelling_a_call_withdraws_its_pictures(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    cancelled: list[bytes] = []
    everybody = asyncio.Event()

    async def wait(asked: InspectionRequest) -> Inspection:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(asked.picture)
            if len(cancelled) == 2:
                everybody.set()
            raise
        return NOT_OK

    inspector.outcome = wait
    call = stub.ModelInfer(request(b"1", b"2"))
    await inspector.asked.wait()
    call.cancel()
    await everybody.wait()
    assert set(cancelled) == {b"1", b"2"}


async def test_one_picture_without_a_verdict_leaves_the_others_theirs(
    stub: pb_grpc.GRPCInferenceServiceStub, inspector: ScriptedInspector
) -> None:
    async def answer(asked: InspectionRequest) -> Inspection:
        if asked.picture == b"bad":
            raise BadPicture("corrupt_picture", "The picture is cut off.")
        return NOT_OK

    inspector.outcome = answer
    response = await stub.ModelInfer(request(b"good", b"bad"))
    assert list(response.outputs[-1].contents.bytes_contents) == [b"NotOK", b"Undefined"]
    assert response.parameters["undefined_1"].string_param.startswith("corrupt_picture: ")


@pytest.mark.parametrize(
    ("outcome", "code", "reason"),
    [
        (BadPicture("corrupt_picture", "Cut off."), Code.INVALID_ARGUMENT, "CORRUPT_PICTURE"),
        (UnknownRecipe("x", ["default"]), Code.NOT_FOUND, "UNKNOWN_RECIPE"),
        (QueueFull(1.5), Code.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
        (NotReady("draining", 2.0), Code.UNAVAILABLE, "NOT_READY"),
        (TOO_LATE, Code.UNAVAILABLE, "DEADLINE"),
    ],
)
async def test_what_an_inspection_says_gets_its_status(
    stub: pb_grpc.GRPCInferenceServiceStub,
    inspector: ScriptedInspector,
    outcome: object,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    inspector.outcome = outcome
    _, details = await failure(stub.ModelInfer(request(b"1")), code)
    assert details["ErrorInfo"].reason == reason
    undefined = code in (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
    assert (details["ErrorInfo"].metadata.get("verdict") == "Undefined") == undefined
    if code is Code.RESOURCE_EXHAUSTED:
        assert details["RetryInfo"].retry_delay.ToMilliseconds() == 1500


async def test_unexpected_errors_show_an_id_and_no_more(
    stub: pb_grpc.GRPCInferenceServiceStub,
    bench: OpenInferenceBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*arguments: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(bench.inference, "find", breaks)
    said, _ = await failure(stub.ModelReady(pb.ModelReadyRequest(name="tiny")), Code.INTERNAL)
    assert "under the id" in said
    assert "secret" not in said


def both() -> pb.ModelInferRequest:
    message = request(b"1")
    message.raw_input_contents.append(b"\1\0\0\01")
    return message


def raw_pictures(*entries: bytes) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="tiny", raw_input_contents=entries)
    message.inputs.add(name="pictures", datatype="BYTES", shape=[1])
    return message


def changed(**changes: object) -> pb.ModelInferRequest:
    message = request(b"1")
    for field, value in changes.items():
        if field == "shape":
            del message.inputs[0].shape[:]
            message.inputs[0].shape.extend(value)
        else:
            setattr(message.inputs[0], field, value)
    return message


def stray_contents() -> pb.ModelInferRequest:
    message = request(b"1")
    message.inputs[0].contents.fp32_contents.append(1.0)
    return message


def odd_numbers(*numbers: int) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="tiny_raw")
    tensor = message.inputs.add(name="images", datatype="UINT8", shape=[1, 1, 64, 64])
    tensor.contents.uint_contents.extend(numbers)
    return message


def empty_parameter() -> pb.ModelInferRequest:
    message = request(b"1")
    message.parameters["line"].SetInParent()
    return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (both(), "not in both"),
        (raw_pictures(b"", b""), "2 entries for 1 inputs"),
        (raw_pictures(b"\2\0\0\01"), "ends within an element"),
        (raw_pictures(b"\0\0"), "ends within the length"),
        (raw_pictures(b""), "0 elements"),
        (changed(datatype="FP32"), "datatype BYTES"),
        (changed(shape=[2]), "asks for 2"),
        (changed(shape=[17]), "16 are allowed"),
        (raw_pictures(b"\0\0\0\0" * 2 + b"\xff\xff"), "2 or more elements"),
        (changed(shape=[-1]), "not negative"),
        (changed(shape=[2**62, 2**62]), "shape [-1]"),
        (changed(name="images"), "takes one input"),
        (pb.ModelInferRequest(model_name="tiny"), "has none"),
        (stray_contents(), "must be in bytes_contents"),
        (empty_parameter(), "has no value"),
        (odd_numbers(*[0] * 4095), "4095 elements"),
        (odd_numbers(*[0] * 4095, 256), "from 0 to 255"),
        (raw_images(np.zeros((1, 1, 64, 32), np.uint8)), "[-1, 1, 64, 64]"),
        (raw_images(np.zeros((5, 1, 64, 64), np.uint8)), "1 to 4"),
    ],
)
async def test_bad_requests_are_named(
    stub: pb_grpc.GRPCInferenceServiceStub,
    inspector: ScriptedInspector,
    message: pb.ModelInferRequest,
    says: str,
) -> None:
    said, details = await failure(stub.ModelInfer(message), Code.INVALID_ARGUMENT)
    assert says in said
    assert details["ErrorInfo"].reason == "INVALID_REQUEST"
    assert inspector.requests == []
    assert inspector.refusals == ["invalid_request"]


async def test_unknown_models_and_versions_are_not_found(
    stub: pb_grpc.GRPCInferenceServiceStub,
) -> None:
    for call in (
        stub.ModelInfer(pb.ModelInferRequest(model_name="x")),
        stub.ModelInfer(pb.ModelInferRequest(model_name="tiny", model_version="9")),
        stub.ModelReady(pb.ModelReadyRequest(name="x")),
        stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny", version="9")),
        stub.ModelConfig(pb.ModelConfigRequest(name="x")),
        stub.ModelStatistics(pb.ModelStatisticsRequest(name="x")),
    ):
        said, details = await failure(call, Code.NOT_FOUND)
        assert "tiny" in said or "1.2.3" in said
        assert details["ErrorInfo"].reason == "UNKNOWN_MODEL"


async def test_statistics_and_repository(
    stub: pb_grpc.GRPCInferenceServiceStub, bench: OpenInferenceBench
) -> None:
    bench.statistics.inspected(NOT_OK)
    figures = (await stub.ModelStatistics(pb.ModelStatisticsRequest())).model_stats
    assert [(f.name, f.inference_count) for f in figures] == [("tiny", 1), ("tiny_raw", 0)]
    assert figures[0].inference_stats.success.ns == 15_000_490
    index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
    assert [(m.name, m.state) for m in index.models] == [("tiny", "READY"), ("tiny_raw", "READY")]
    load = pb.RepositoryModelLoadRequest(model_name="other")
    load.parameters["version"].string_param = "2.0.0"
    await stub.RepositoryModelLoad(load)
    unload = pb.RepositoryModelUnloadRequest(model_name="other")
    unload.parameters["unload_dependents"].bool_param = False
    await stub.RepositoryModelUnload(unload)
    assert bench.control.changes == [("load", "other", "2.0.0"), ("unload", "other", None)]
    for error, code in (
        (ModelIsStable("tiny", "1.2.3"), Code.FAILED_PRECONDITION),
        (ModelControlOff(), Code.PERMISSION_DENIED),
    ):
        bench.control.error = error
        said, _ = await failure(stub.RepositoryModelUnload(unload), code)
        assert said == str(error)


async def test_reflection_and_health_know_the_service(channel: grpc.aio.Channel) -> None:
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="flawline.v1.InspectionService"
        ),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.Nothing"),
        reflection_pb2.ServerReflectionRequest(
            file_by_filename="flawline/rpc/open_inference/grpc_service.proto"
        ),
        reflection_pb2.ServerReflectionRequest(
            all_extension_numbers_of_type="inference.ModelInferRequest"
        ),
    ]
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(asked))
    listed, ours, others, nothing, by_name, extensions = [answer async for answer in call]
    assert SERVICE in {service.name for service in listed.list_services_response.service}
    for found in (ours, by_name):
        files = found.file_descriptor_response.file_descriptor_proto
        assert descriptor_pb2.FileDescriptorProto.FromString(files[0]).package == "inference"
    assert others.HasField("file_descriptor_response")
    assert nothing.error_response.error_code == Code.NOT_FOUND.value[0]
    assert list(extensions.all_extension_numbers_response.extension_number) == []
    health = health_pb2_grpc.HealthStub(channel)
    state = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert state.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_message_that_cannot_be_read_is_the_callers_fault(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer")(b"\xff\xff\xff")
    said, details = await failure(call, Code.INVALID_ARGUMENT)
    assert "cannot be read" in said
    assert details["ErrorInfo"].reason == "INVALID_REQUEST"
    assert caplog.records == []
