"""One camera's InspectStream, opened again and again until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

import grpc

from flawline.client.attempts import Failure, Pauses, deadline_ms_of
from flawline.client.channel import Way
from flawline.client.errors import RefusedError
from flawline.client.ledger import Entry, Ledger
from flawline.client.pace import Pace
from flawline.client.wire import failure_of, inspection_from, request_of, sendable
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

_log = logging.getLogger(__name__)

_OPENS_WITHIN_S = 10.0
_NEWS_WITHIN_S = 1.0


class Stream:
    """Brings the ledger's frames to the service, and its answers to the ledger."""

    def __init__(self, way: Way, ledger: Ledger, stream_id: str) -> None:
        self._way = way
        self._ledger = ledger
        self._stream_id = stream_id
        self._ended = asyncio.Event()

    def end(self) -> None:
        """No more frames: `run` ends once the service has heard so."""
        self._ended.set()
        self._ledger.news.set()

    async def run(self) -> None:
        """Until it was ended, is cancelled, or the service refuses the stream itself."""
        pauses = Pauses()
        channel = self._way.channel()
        try:
            while not self._ended.is_set():
                connection = _Connection(self._ledger, pauses, self._ended)
                opening = pb.StreamOpening(
                    stream_id=self._stream_id,
                    acknowledged=self._ledger.acknowledged,
                )
                self._ledger.failure = failure = await self._serve(channel, connection, opening)
                await self._pause(pauses.next_s(failure.retry_after_s))
        except RefusedError as error:
            _forget_frames(error)
            self._ledger.refuse_all(error)
        finally:
            await channel.close()

    async def _pause(self, pause_s: float) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), pause_s)

    async def _serve(
        self, channel: grpc.aio.Channel, connection: _Connection, opening: pb.StreamOpening
    ) -> Failure:
        """One connection until it breaks. Raises RefusedError."""
        stub = pb_grpc.InspectionServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.InspectStream(metadata=self._way.metadata())
        try:
            await connection.serve(call, opening)
        except Exception as error:  # noqa: BLE001 - nobody looks at this task: if it died, the camera would be silent
            return _failure_from(error, was_there=self._ledger.figures.connections > 0)
        finally:
            call.cancel()
        return Failure("ended", "The service ended the stream.")


def _failure_from(error: Exception, *, was_there: bool) -> Failure:
    """Raises RefusedError."""
    if not isinstance(
        error, (grpc.aio.AioRpcError, asyncio.TimeoutError, asyncio.InvalidStateError)
    ):
        _log.error("The stream of a camera broke, and is opened again.", exc_info=error)
    _forget_frames(error)
    if isinstance(error, grpc.aio.AioRpcError):
        return failure_of(error, was_there=was_there)
    return Failure("unreachable", f"The stream could not be used: {error!r}.")


def _forget_frames(error: Exception) -> None:
    """Else it holds the call, which holds the channel, which goes on connecting after the camera was closed."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


class _Connection:
    """One call of InspectStream."""

    def __init__(self, ledger: Ledger, pauses: Pauses, ended: asyncio.Event) -> None:
        self._ledger = ledger
        self._ended = ended
        self._pauses = pauses
        self._memory_id = ""
        self._max_picture_bytes = 0
        self._pace = Pace(1)
        self._sent = 0
        self._acknowledged = 0

    async def serve(self, call: grpc.aio.StreamStreamCall, opening: pb.StreamOpening) -> None:
        """Until it breaks, or the service ends it."""
        self._sent = self._acknowledged = opening.acknowledged
        await asyncio.wait_for(self._open(call, opening), _OPENS_WITHIN_S)
        sending = asyncio.create_task(self._send(call))
        receiving = asyncio.create_task(self._receive(call))
        try:
            await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():  # all was sent; or the call broke, and receiving knows how
                limit_s = _NEWS_WITHIN_S if sending.exception() else None
                await asyncio.wait({receiving}, timeout=limit_s)
            (receiving if receiving.done() else sending).result()
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _open(self, call: grpc.aio.StreamStreamCall, opening: pb.StreamOpening) -> None:
        await call.write(pb.InspectStreamRequest(opening=opening))
        message = await call.read()
        if message is grpc.aio.EOF:
            return
        self._pace = Pace(max(1, message.opened.window))
        self._memory_id = message.opened.memory_id
        self._max_picture_bytes = message.opened.max_picture_bytes
        self._ledger.figures.connections += 1
        self._ledger.failure = None
        self._pauses.reset()

    async def _send(self, call: grpc.aio.StreamStreamCall) -> None:
        while True:
            self._ledger.news.clear()
            for entry in list(self._ledger.after(self._sent)):
                if self._pace.full:
                    break
                if not self._pace.hopeless(entry.ends_s - time.monotonic()):
                    await self._send_one(call, entry)
            await self._acknowledge(call)
            if self._ended.is_set():
                await call.done_writing()
                return
            await self._ledger.news.wait()

    async def _send_one(self, call: grpc.aio.StreamStreamCall, entry: Entry) -> None:
        if entry.answer.done():  # given up, or its deadline passed while others were being written
            self._ledger.give_up(entry.sequence)
            return
        try:
            frame = self._message_of(entry)
        except RefusedError as error:
            self._ledger.answer(entry.sequence, error)
            return
        self._count_again(entry)
        entry.memory_id = self._memory_id
        self._sent = entry.sequence
        self._pace.sent(entry.sequence)
        await call.write(pb.InspectStreamRequest(frame=frame))

    def _message_of(self, entry: Entry) -> pb.StreamFrame:
        size, most = len(entry.frame.picture), self._max_picture_bytes
        if 0 < most < size:
            detail = f"The picture has {size} bytes; this service takes {most}."
            raise RefusedError("too_many_bytes", detail, "picture")
        request = request_of(entry.frame, deadline_ms_of(entry.ends_s - time.monotonic()))
        traceparent = entry.frame.traceparent or ""
        with sendable():
            return pb.StreamFrame(sequence=entry.sequence, request=request, traceparent=traceparent)

    def _count_again(self, entry: Entry) -> None:
        if entry.memory_id is None:
            return
        figures = self._ledger.figures
        figures.resent += 1
        if entry.memory_id != self._memory_id and not entry.maybe_twice:
            entry.maybe_twice = True
            figures.maybe_inspected_twice += 1

    async def _acknowledge(self, call: grpc.aio.StreamStreamCall) -> None:
        """Of what the service knows: frames that were never sent here may have expired meanwhile."""
        number = min(self._ledger.acknowledged, self._sent)
        if number > self._acknowledged:
            self._acknowledged = number
            message = pb.StreamAcknowledgement(sequence=number)
            await call.write(pb.InspectStreamRequest(acknowledgement=message))

    async def _receive(self, call: grpc.aio.StreamStreamCall) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:
            answer = message.answer
            undefined = pb.VERDICT_UNDEFINED in {answer.inspection.verdict, answer.problem.verdict}
            self._pace.answered(answer.sequence, evaluated=not undefined)
            if answer.WhichOneof("outcome") == "inspection":
                self._ledger.answer(answer.sequence, inspection_from(answer.inspection))
            elif answer.problem.verdict == pb.VERDICT_UNDEFINED:
                self._ledger.undecided(answer.sequence, answer.problem.code, answer.problem.detail)
            else:
                problem = answer.problem
                error = RefusedError(problem.code, problem.detail, problem.field or None)
                self._ledger.answer(answer.sequence, error)
