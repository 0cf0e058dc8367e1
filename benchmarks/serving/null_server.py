"""A server that does nothing but answer, to find the generator's own ceiling: HTTP, gRPC unary and InspectStream.

`python -m serving.null_server HTTP_PORT GRPC_PORT KIND_FOLDER ARTIFACT`. It knows a picture by the size of its request
and gives an answer that was made before, so that the generator's checks pass.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import uvloop

from flawline.rpc.v1 import inspection_pb2 as pb
from serving.detector import Detector
from serving.doors import GRPC, INSPECT, INSPECT_STREAM, grpc_requests
from serving.pictures import Kind


class NullHttp(asyncio.Protocol):
    """Every request is one picture with its Content-Length."""

    def __init__(self, answers: dict[int, bytes]) -> None:
        self._answers = answers
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """By asyncio."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """By asyncio."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.find(b"Content-Length: ") + 16
        length = int(self._buffer[at : self._buffer.find(b"\r", at)]) if at > 16 else 0
        if len(self._buffer) >= end + 4 + length:
            del self._buffer[: end + 4 + length]
            self._transport.write(self._answers.get(length, self._answers[0]))


class NullGrpc(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers as bytes, by the size of the request."""

    def __init__(self, answers: dict[int, bytes]) -> None:
        self._answers = answers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """By grpc."""
        if details.method == INSPECT:
            return grpc.unary_unary_rpc_method_handler(self._one)
        if details.method == INSPECT_STREAM:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return None

    async def _one(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        return self._answers[len(request)]

    async def _stream(
        self, requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        opened = pb.StreamOpened(window=32, memory_id="null", max_picture_bytes=2**31)
        yield pb.InspectStreamResponse(opened=opened).SerializeToString()
        async for request in requests:
            frame = pb.InspectStreamRequest.FromString(request).frame
            if frame.sequence:
                found = pb.InspectResponse.FromString(self._answers[frame.request.ByteSize()])
                answer = pb.StreamAnswer(sequence=frame.sequence, inspection=found.inspection)
                yield pb.InspectStreamResponse(answer=answer).SerializeToString()


def http_answers(kind: Kind, detector: Detector) -> dict[int, bytes]:
    """By the picture's size; 0 is the answer to everything else."""
    answers = {0: _response(b"{}")}
    for picture in kind.encoded():
        (answer,) = detector.inspect([picture])
        answers[len(picture)] = _response(json.dumps(answer).encode())
    return answers


def _response(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def grpc_answers(kind: Kind, artifact: Path) -> dict[int, bytes]:
    """By the request's size; the detections have no box, which nobody looks at."""
    answers = {}
    for request, count in zip(
        grpc_requests(GRPC, kind.encoded(), artifact), kind.counts, strict=True
    ):
        found = pb.Inspection(
            verdict=pb.VERDICT_NOT_OK if count else pb.VERDICT_OK,
            detections=[pb.Detection(label="scratches", score=0.5)] * count,
        )
        answers[len(request)] = pb.InspectResponse(inspection=found).SerializeToString()
    return answers


async def serve(http_port: int, grpc_port: int, kind: Kind, artifact: Path) -> None:
    """Until it is ended."""
    answers = http_answers(kind, Detector(artifact, 1))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: NullHttp(answers), "127.0.0.1", http_port)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((NullGrpc(grpc_answers(kind, artifact)),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    async with listener:
        await listener.serve_forever()


if __name__ == "__main__":
    http, rpc, folder, onnx = sys.argv[1:]
    uvloop.run(serve(int(http), int(rpc), Kind.read(Path(folder)), Path(onnx)))
