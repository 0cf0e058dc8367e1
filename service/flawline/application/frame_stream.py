"""A camera's stream: frames go in, each is answered once, and never more than a window are open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from flawline.application.deadline import pause
from flawline.application.failures import new_error_id
from flawline.application.idempotency import AnswerKey
from flawline.application.inspector import InspectionRequest, Inspector
from flawline.application.open_bytes import OpenBytes
from flawline.application.ports import Clock
from flawline.application.request import DEFAULT_LINE, LINE_NAME_RULE, is_line_name
from flawline.core.errors import InspectionError, InvalidRequest, NotReady, QueueFull
from flawline.core.values import Inspection

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
# Of a stream whose client acknowledges nothing; what is beyond goes with time.
_MOST_UNACKNOWLEDGED = 4096


@dataclass(frozen=True, slots=True)
class Opening:
    """How a stream begins, or goes on.

    stream_id: names the stream, None for one that is not remembered. acknowledged: the client has
    the answers of all frames up to this number. in_order: answers come in the order of the frames.
    """

    stream_id: str | None = None
    acknowledged: int = 0
    in_order: bool = False

    def __post_init__(self) -> None:
        if self.stream_id is not None and not is_line_name(self.stream_id):
            raise InvalidRequest("stream_id", f"stream_id must be {LINE_NAME_RULE}.")


@dataclass(frozen=True, slots=True)
class Unexpected:
    """Nobody expected this; the log has the cause under `error_id`."""

    error_id: str


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """What became of one frame; an error concerns this frame alone."""

    sequence: int
    outcome: Inspection | InspectionError | Unexpected


class FrameStream:
    """One stream. `take` frames from one task while another runs through `answers`, then `close`.

    window: how many frames may be unanswered. open_bytes: shared by all streams.
    default_deadline_ms: of frames that name none.

    A full queue, or one that is not ready, is waited for until the frame's deadline. Frame n of the
    stream s is inspected under the idempotency key "s/n"; its answer is kept until acknowledged.
    """

    def __init__(
        self,
        inspector: Inspector,
        clock: Clock,
        opening: Opening,
        *,
        window: int,
        open_bytes: OpenBytes,
        default_deadline_ms: int,
    ) -> None:
        self._inspector = inspector
        self._clock = clock
        self._opening = opening
        self._window = window
        self._open_bytes = open_bytes
        self._default_deadline_ms = default_deadline_ms
        self._last = opening.acknowledged
        self._running: set[asyncio.Task[FrameAnswer | None]] = set()
        # In the order of answers: as they were taken, or as they got ready. None is the end.
        self._line_up: asyncio.Queue[asyncio.Task[FrameAnswer | None] | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._unacknowledged: dict[int, AnswerKey] = {}

    async def until_room(self) -> None:
        """Return once one more frame may be taken: before that, it should not even be read."""
        await self._room.wait()
        await self._open_bytes.until_room()

    def take(self, sequence: int, request: InspectionRequest) -> None:
        """Begin to inspect a frame. Raises InvalidRequest, which ends the stream."""
        if sequence <= self._last:
            raise InvalidRequest(
                "sequence",
                f"Frame {sequence} came after {self._last}: within a call each sequence number "
                "must be greater than the one before, and than what was acknowledged on opening.",
            )
        self._last = sequence
        self._open_bytes.take(len(request.picture))
        task = asyncio.create_task(self._answered(sequence, self._remembered(sequence, request)))
        self._running.add(task)
        task.add_done_callback(lambda _: self._open_bytes.give(len(request.picture)))
        if self._opening.in_order:
            self._line_up.put_nowait(task)
        else:
            task.add_done_callback(self._line_up.put_nowait)
        if len(self._running) >= self._window:
            self._room.clear()

    async def acknowledge(self, sequence: int) -> None:
        """The client has all answers up to this one. Raises InvalidRequest, which ends the stream."""
        if sequence > self._last:
            raise InvalidRequest(
                "sequence", f"Frame {sequence} was acknowledged, but the last one was {self._last}."
            )
        known = [number for number in self._unacknowledged if number <= sequence]
        if known:
            await self._inspector.forget([self._unacknowledged.pop(number) for number in known])

    def end(self) -> None:
        """No more frames: `answers` ends with the last of them."""
        self._ended = True
        self._end_if_done()

    async def answers(self) -> AsyncIterator[FrameAnswer]:
        """Each frame's answer; the room of a frame is free once the next answer is asked for."""
        while (task := await self._line_up.get()) is not None:
            if (answer := await task) is not None:
                yield answer
            self._running.discard(task)
            self._room.set()
            self._end_if_done()

    def close(self) -> None:
        """Drop what is not answered: withdrawn, unless the stream is remembered and may go on."""
        for task in self._running:
            task.cancel()

    def _end_if_done(self) -> None:
        if self._ended and not self._running:
            self._line_up.put_nowait(None)

    def _remembered(self, sequence: int, request: InspectionRequest) -> InspectionRequest:
        if self._opening.stream_id is None:
            return request
        key = f"{self._opening.stream_id}/{sequence}"
        line = request.line or DEFAULT_LINE
        self._unacknowledged[sequence] = AnswerKey(request.caller, line, key)
        if len(self._unacknowledged) > _MOST_UNACKNOWLEDGED:
            del self._unacknowledged[next(iter(self._unacknowledged))]
        return replace(request, idempotency_key=key)

    async def _answered(self, sequence: int, request: InspectionRequest) -> FrameAnswer | None:
        """None for a frame that another connection must bring again."""
        try:
            return FrameAnswer(sequence, await self._inspector.traced(request, self._inspect))
        except InspectionError as error:
            if _for_good(error):
                return None
            self._inspector.refused(error.code)
            return FrameAnswer(sequence, error)
        except Exception:
            error_id = new_error_id()
            logger.exception("frame_failed sequence=%d error_id=%s", sequence, error_id)
            return FrameAnswer(sequence, Unexpected(error_id))

    async def _inspect(self, request: InspectionRequest) -> Inspection:
        wish_ms = request.deadline_ms
        allowed_ms = self._default_deadline_ms if wish_ms is None else wish_ms
        ends_s = self._clock.monotonic_s() + allowed_ms / 1000
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._inspector.tried(request)
            except (QueueFull, NotReady) as error:
                if _for_good(error) or self._clock.monotonic_s() + pause_s >= ends_s:
                    raise
            await pause(self._clock, pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            left_ms = (ends_s - self._clock.monotonic_s()) * 1000
            request = replace(request, deadline_ms=max(1, int(left_ms)))


def _for_good(error: InspectionError) -> bool:
    """Whether the service stops, so that the frame wants another connection."""
    return isinstance(error, NotReady) and error.for_good
