"""How much load `flawline bench` can make: against services that answer at once and inspect nothing.

python benchmarks/load_ceiling.py prints, for each protocol, frames/s and CPU time a frame of the generator (closed
loop), and how late it sends at a cadence (open loop). `httpx` is flawline.client.rest, for comparison. A real service
is measured well far below these frames/s. The services run in one process of their own, so that on two cores each side
has one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import os
import time

import grpc
import uvloop

from flawline.adapters.system_clock import SystemClock
from flawline.application.load import Load, LoadPlan, Way
from flawline.cli.load.address import Address
from flawline.cli.load.frames import draw_frames
from flawline.cli.load.rest import RestWay
from flawline.cli.load.rpc import StreamWay, UnaryWay
from flawline.client import Frame
from flawline.client.rest import AsyncRestClient
from flawline.core.load import LoadFigures, Outcome, OutcomeKind
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

DEADLINE_MS = 5000
ANSWER = {
    "inspection_id": "0123456789abcdef0123456789abcdef",
    "verdict": "OK",
    "reasons": [],
    "detections": [],
    "frame": {"width": 200, "height": 200, "sha256": "0" * 64},
    "line": "default",
    "part_id": None,
    "recipe": {"name": "default", "version": "1"},
    "model": {"name": "none", "version": "0", "sha256": "0" * 64},
    "created_at": "2026-01-01T00:00:00Z",
    "processing_times_ms": {},
}


class AtOnce(asyncio.Protocol):
    """HTTP that answers the same to every POST, as soon as its body is there."""

    BODY = json.dumps(ANSWER).encode()
    REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing was received yet."""
        self._transport, self._received = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer once the body is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        if found and len(body) >= length:
            self._received = body[length:]
            self._transport.write(self.REPLY)


class Servicer(pb_grpc.InspectionServiceServicer):
    """gRPC that answers OK to every frame."""

    async def Inspect(self, request, context):  # noqa: N802, ARG002 - gRPC's names
        """OK."""
        return pb.InspectResponse(inspection=pb.Inspection(verdict=pb.VERDICT_OK))

    async def InspectStream(self, requests, context):  # noqa: N802, ARG002 - gRPC's names
        """OK for each frame."""
        inspection = pb.Inspection(verdict=pb.VERDICT_OK)
        async for request in requests:
            if request.HasField("opening"):
                yield pb.InspectStreamResponse(opened=pb.StreamOpened(window=32, memory_id="none"))
            elif request.HasField("frame"):
                answer = pb.StreamAnswer(sequence=request.frame.sequence, inspection=inspection)
                yield pb.InspectStreamResponse(answer=answer)


class HttpxWay:
    """The client for users, as a generator."""

    def __init__(self, address: Address) -> None:
        self._client = AsyncRestClient(str(address), deadline_s=DEADLINE_MS / 1000)

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        """One frame, tried again as long as that makes sense."""
        del caller
        inspection = await self._client.inspect(Frame(picture))
        return Outcome(OutcomeKind.VERDICT, inspection.verdict.value)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def serve(pipe: multiprocessing.connection.Connection) -> None:
    async def main() -> None:
        http = await asyncio.get_running_loop().create_server(AtOnce, "127.0.0.1", 0)
        rpc = grpc.aio.server()
        pb_grpc.add_InspectionServiceServicer_to_server(Servicer(), rpc)
        port = rpc.add_insecure_port("127.0.0.1:0")
        await rpc.start()
        pipe.send((http.sockets[0].getsockname()[1], port))
        await asyncio.Event().wait()

    uvloop.run(main())


async def measure(
    way: Way, plan: LoadPlan, pictures: tuple[bytes, ...]
) -> tuple[LoadFigures, float]:
    """The figures, and CPU seconds a frame."""
    load = Load(way, pictures, plan, SystemClock())
    began_s = time.process_time()
    figures = await load.run()
    total_s = plan.duration_s + plan.warm_up_s
    return figures, (time.process_time() - began_s) / max(1.0, figures.frames_per_s * total_s)


def way(
    kind: str, ports: tuple[int, int], callers: int
) -> RestWay | UnaryWay | StreamWay | HttpxWay:
    rest, rpc = Address("http", "127.0.0.1", ports[0]), Address("grpc", "127.0.0.1", ports[1])
    if kind == "httpx":
        return HttpxWay(rest)
    if kind == "grpc-stream":
        return StreamWay(rpc, line=None, deadline_ms=DEADLINE_MS, callers=callers)
    maker = RestWay if kind == "rest" else UnaryWay
    return maker(
        rpc if kind == "grpc" else rest, line=None, deadline_ms=DEADLINE_MS, patience_s=9.0
    )


async def run(options: argparse.Namespace, ports: tuple[int, int]) -> None:
    pictures = draw_frames((200, 200)).pictures
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; frames of {len(pictures[0])} bytes"
    )
    print(
        f"{'protocol':<12}{'load':>12}{'frames/s':>10}{'CPU ms/frame':>14}{'p50 ms':>8}{'p99 ms':>8}{'lag p99':>9}"
    )
    for kind in ("rest", "httpx", "grpc", "grpc-stream"):
        plans = [LoadPlan(None, n, options.seconds, 0.3, DEADLINE_MS) for n in (1, 8, 32)]
        plans += [LoadPlan(rate, 1, options.seconds, 0.3, DEADLINE_MS) for rate in (50.0, 200.0)]
        for plan in plans:
            asked = way(kind, ports, plan.callers)
            figures, cpu_s = await measure(asked, plan, pictures)
            await asked.aclose()
            load = f"{plan.callers} callers" if plan.rate is None else f"{plan.rate:g}/s"
            print(
                f"{kind:<12}{load:>12}{figures.frames_per_s:>10.0f}{cpu_s * 1000:>14.3f}{figures.p50_ms:>8.2f}"
                f"{figures.p99_ms:>8.2f}{figures.lag_p99_ms:>9.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="each measurement")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    serving = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs,), daemon=True
    )
    serving.start()
    uvloop.run(run(options, ours.recv()))
    serving.terminate()


if __name__ == "__main__":
    main()
