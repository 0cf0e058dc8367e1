"""Over gRPC: single frames, and watching what others have inspected. For a camera see `camera`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import grpc

from flawline.client.access import usable_deadline
from flawline.client.answers import Inspection, WatchedInspection, undefined
from flawline.client.attempts import Failure, answered, deadline_ms_of
from flawline.client.background import Background
from flawline.client.calls import ClosedError, OpenCalls
from flawline.client.channel import Way
from flawline.client.frame import Frame, with_bytes
from flawline.client.watch import Watch
from flawline.client.wire import failure_of, inspection_from, refuse_too_large, request_of
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc


class AsyncGrpcClient:
    """Asks one service; for any number of tasks of one event loop at a time.

    target: such as `localhost:8081`. token: the bearer token. ca_file: certificates to trust, tls:
    trust the system's; without either the connection is not encrypted. deadline_s: until when
    `inspect` has an answer, unless it is told. Raises ValueError for what of these cannot be one.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        tls: bool = False,
        deadline_s: float = 5.0,
    ) -> None:
        self._way = Way(target, token, ca_file, tls)
        self._deadline_s = usable_deadline(deadline_s)
        self._open_channel: grpc.aio.Channel | None = None
        self._calls = OpenCalls()

    async def inspect(
        self,
        frame: Frame,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspect one frame; without a verdict by the deadline it is `Undefined`.

        What is busy or away is tried again until then, under one idempotency key, which may be given
        so that other repeats get the same answer. Raises RefusedError, ValueError for the deadline,
        RuntimeError once the client is closed.
        """
        frame = with_bytes(frame)
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        call = answered(
            limit_s,
            idempotency_key,
            frame.traceparent,
            partial(self._try, frame),
            partial(undefined, frame),
        )
        return await self._calls.run(call)

    @asynccontextmanager
    async def watch(
        self, *lines: str, reconnect: bool = False
    ) -> AsyncIterator[AsyncIterator[WatchedInspection]]:
        """Inspections as they are finished from now on, of these lines, or of all.

        Raises AwayError when the connection cannot be made, or ends; with `reconnect` another one is made then,
        again and again, and `gaps` tells that inspections of the time between were not heard of. RefusedError.
        RuntimeError once the client is closed.
        """
        request = pb.WatchInspectionsRequest(lines=lines)

        def start() -> grpc.aio.UnaryStreamCall:
            return self._stub().WatchInspections(request, metadata=self._way.metadata())

        watch = Watch(start, reconnect=reconnect)
        try:
            await self._calls.run(watch.open())
            yield self._calls.each(watch.news())
        finally:
            watch.close()

    async def aclose(self) -> None:
        """Close the connection; calls that are open raise RuntimeError."""
        await self._calls.close()
        channel, self._open_channel = self._open_channel, None
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> AsyncGrpcClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _stub(self) -> pb_grpc.InspectionServiceStub:
        if self._open_channel is None:
            self._open_channel = self._way.channel()
        return pb_grpc.InspectionServiceStub(self._open_channel)  # type: ignore[no-untyped-call]

    async def _try(self, frame: Frame, key: str, remaining_s: float) -> Inspection | Failure:
        metadata = [*self._way.metadata(), ("idempotency-key", key)]
        if frame.traceparent is not None:
            metadata.append(("traceparent", frame.traceparent))
        request = request_of(frame, deadline_ms_of(remaining_s))
        try:
            answer = await self._stub().Inspect(request, timeout=remaining_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            refuse_too_large(error, frame)
            return failure_of(error)
        return inspection_from(answer.inspection)


class GrpcClient:
    """AsyncGrpcClient for ordinary code; for any number of threads at a time."""

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        tls: bool = False,
        deadline_s: float = 5.0,
    ) -> None:
        self._client = AsyncGrpcClient(
            target, token=token, ca_file=ca_file, tls=tls, deadline_s=deadline_s
        )
        self._background = Background()

    def inspect(
        self,
        frame: Frame,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspect one frame; see AsyncGrpcClient."""
        return self._background.run(
            self._client.inspect(frame, deadline_s=deadline_s, idempotency_key=idempotency_key)
        )

    @contextmanager
    def watch(self, *lines: str, reconnect: bool = False) -> Iterator[Iterator[WatchedInspection]]:
        """Inspections as they are finished from now on; see AsyncGrpcClient."""
        watching = self._client.watch(*lines, reconnect=reconnect)
        watched = self._background.run(watching.__aenter__())
        try:
            yield self._background.each(watched)
        finally:
            with suppress(ClosedError):  # then it has ended
                self._background.run(watching.__aexit__(None, None, None))

    def close(self) -> None:
        """Close the connection; harmless when it is. Calls of other threads that are open raise RuntimeError."""
        self._background.close(self._client.aclose)

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
