"""A camera whose api is lost goes on at another one of the same queue."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from pictures import expected_score, numbered
from redis_process import RedisProcess, needs_redis
from shared_line import SharedLine

from flawline.adapters.grpc_api import GrpcServer
from flawline.adapters.redis_queue import RedisQueueOptions
from flawline.adapters.system_clock import SystemClock
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

pytestmark = needs_redis


@asynccontextmanager
async def stub_of(line: SharedLine) -> AsyncIterator[pb_grpc.InspectionServiceStub]:
    server = GrpcServer(
        line.inspector,
        line.queue.feed(10),
        SystemClock(),
        max_message_bytes=1 << 20,
        default_deadline_ms=1000,
        lock=Lock(None),
    )
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.InspectionServiceStub(channel)
    await server.stop(0)


async def opened(stub: pb_grpc.InspectionServiceStub, acknowledged: int = 0) -> tuple:
    """The call, and what names the memory behind it."""
    call = stub.InspectStream()
    opening = pb.StreamOpening(stream_id="camera-1", acknowledged=acknowledged, in_order=True)
    await call.write(pb.InspectStreamRequest(opening=opening))
    return call, (await call.read()).opened.memory_id


async def answer(call: grpc.aio.StreamStreamCall, sequence: int) -> pb.Inspection:
    request = pb.InspectRequest(picture=numbered(sequence), deadline_ms=30_000)
    frame = pb.StreamFrame(sequence=sequence, request=request)
    await call.write(pb.InspectStreamRequest(frame=frame))
    given = (await call.read()).answer
    assert given.sequence == sequence
    score = given.inspection.detections[0].score
    assert score == pytest.approx(expected_score(sequence), abs=2e-4)
    return given.inspection


async def test_frames_sent_again_to_another_api_are_not_inspected_twice(
    redis: RedisProcess,
) -> None:
    options = RedisQueueOptions(
        redis.url, capacity=64, line_capacity=64, namespace=f"test-{uuid.uuid4().hex[:8]}"
    )
    async with SharedLine(options) as here, SharedLine(options) as there:
        here.hire()
        async with stub_of(here) as one, stub_of(there) as other:
            lost, memory_id = await opened(one)
            before = [await answer(lost, sequence) for sequence in (1, 2)]
            lost.cancel()
            again, same_memory_id = await opened(other, acknowledged=1)
            assert same_memory_id == memory_id
            assert await answer(again, 2) == before[1]
            await answer(again, 3)
            again.cancel()
    inspected = [len(line.telemetry.inspections) for line in (here, there)]
    assert inspected == [2, 1]
