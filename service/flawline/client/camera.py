"""A camera that streams over gRPC: each frame gets one answer, whatever happens on the way."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from flawline.client.access import usable_deadline, usable_most_unanswered, usable_stream_id
from flawline.client.answers import Inspection
from flawline.client.background import Background
from flawline.client.calls import ClosedError, OneLoop
from flawline.client.channel import Way
from flawline.client.frame import Frame, with_bytes
from flawline.client.ledger import Figures, Ledger
from flawline.client.stream import Stream

# So long may the service take to hear that all answers have come.
_FAREWELL_S = 2.0


class AsyncCamera:
    """Streams frames to one service, and goes on when the connection breaks or the service restarts.

    target, token, ca_file, tls: as of AsyncGrpcClient. stream_id: a name that no other stream ever
    had; by default a new one. deadline_s: until when each frame has its answer. most_unanswered: frames
    held here, at least 1; more wait in `send`. Raises ValueError for what of these cannot be one.

    What is not answered is sent again on the next connection under its number, which the service does
    not inspect twice while it remembers it; `figures` counts what it may have. Use it with
    `async with`: leaving waits until all frames have their answer.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        tls: bool = False,
        stream_id: str | None = None,
        deadline_s: float = 5.0,
        most_unanswered: int = 1024,
    ) -> None:
        self._ledger = Ledger(usable_deadline(deadline_s), usable_most_unanswered(most_unanswered))
        self._stream = Stream(
            Way(target, token, ca_file, tls),
            self._ledger,
            usable_stream_id(stream_id or uuid.uuid4().hex),
        )
        self._running: asyncio.Task[None] | None = None
        self._loop = OneLoop()
        self._closed = False

    @property
    def figures(self) -> Figures:
        """What became of the frames so far."""
        return self._ledger.figures

    async def send(self, frame: Frame) -> asyncio.Future[Inspection]:
        """Hand over one frame, and return where its answer will be: an inspection, or RefusedError.

        Waits while `most_unanswered` frames are, at most until the frame's own deadline, which counts
        from now. Raises RefusedError when the service refuses the stream itself, or the picture is
        none; RuntimeError once the camera is closed, and on another event loop than before.
        """
        if self._closed:
            raise ClosedError
        self._loop.check()
        frame = with_bytes(frame)
        if self._running is None:
            self._running = asyncio.create_task(self._stream.run(), name="flawline camera")
        return await self._ledger.enter(frame)

    async def inspect(self, frame: Frame) -> Inspection:
        """Hand over one frame and wait for its answer. Raises RefusedError."""
        return await (await self.send(frame))

    async def aclose(self) -> None:
        """Take no more frames, wait until every one has its answer, then end the stream."""
        if not self._closed:
            self._loop.check()
        self._closed = True
        try:
            await self._ledger.until_all_answered()
            if self._running is not None:
                self._stream.end()
                await asyncio.wait({self._running}, timeout=_FAREWELL_S)
        finally:  # also when the waiting is broken off
            running, self._running = self._running, None
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def __aenter__(self) -> AsyncCamera:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()


class Camera:
    """AsyncCamera for ordinary code. Options as there."""

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        tls: bool = False,
        stream_id: str | None = None,
        deadline_s: float = 5.0,
        most_unanswered: int = 1024,
    ) -> None:
        self._camera = AsyncCamera(
            target,
            token=token,
            ca_file=ca_file,
            tls=tls,
            stream_id=stream_id,
            deadline_s=deadline_s,
            most_unanswered=most_unanswered,
        )
        self._background = Background()

    @property
    def figures(self) -> Figures:
        """What became of the frames so far."""
        return self._camera.figures

    def send(self, frame: Frame) -> Future[Inspection]:
        """Hand over one frame, and return where its answer will be; see AsyncCamera."""
        return self._background.run(self._send(frame))

    def inspect(self, frame: Frame) -> Inspection:
        """Hand over one frame and wait for its answer. Raises RefusedError."""
        return self._background.run(self._camera.inspect(frame))

    def close(self) -> None:
        """Take no more frames, wait until every one has its answer, then end the stream; harmless when it is."""
        self._background.close(self._camera.aclose)

    async def _send(self, frame: Frame) -> Future[Inspection]:
        answer = await self._camera.send(frame)
        # Begun here and not by the thread that asked: meanwhile another one may have closed the camera.
        return self._background.follow(_answer_of(answer))

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


async def _answer_of(answer: asyncio.Future[Inspection]) -> Inspection:
    return await answer
